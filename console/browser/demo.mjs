import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const READY_WITHIN = 60_000;

/** The demo as a process of its own, on free ports, with a data folder of its own. */
export async function startDemo() {
  const data = await mkdtemp(join(tmpdir(), 'console-test-'));
  const demo = spawn(process.env.DEMO, ['--base-port', '0', '--data-dir', data], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const address = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the demo is not ready: ${output}`)), READY_WITHIN);
    demo.once('exit', (code) => reject(new Error(`the demo ended with ${code}: ${output}`)));
    demo.stdout.on('data', (text) => {
      output += text;
      if (!/^Ready/m.test(output)) return;
      clearTimeout(timer);
      resolve(/^console +(\S+)$/m.exec(output)[1]);
    });
  });
  const stop = async () => {
    const ended = new Promise((resolve) => demo.once('exit', resolve));
    demo.kill('SIGINT');
    const code = await ended;
    await rm(data, { recursive: true });
    return code;
  };
  return { address, stop };
}
