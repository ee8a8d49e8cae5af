//! Binary fields: base64, and the unscaled integer of a Decimal.

/// Standard alphabet, padding required, white space skipped, as Jackson reads it.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let symbols: Vec<u8> = text.bytes().filter(|byte| *byte > b' ').collect();
    if !symbols.len().is_multiple_of(4) {
        return None;
    }
    let padding = symbols
        .iter()
        .rev()
        .take_while(|symbol| **symbol == b'=')
        .count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(symbols.len() / 4 * 3);
    for group in symbols[..symbols.len() - padding].chunks(4) {
        let mut bits = 0_u32;
        for symbol in group {
            bits = bits << 6 | u32::from(sextet(*symbol)?);
        }
        // A short last group carries group.len() - 1 bytes in its high bits.
        let [_, high, middle, low] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend_from_slice(&[high, middle, low][..group.len() - 1]);
    }
    Some(bytes)
}

fn sextet(symbol: u8) -> Option<u8> {
    match symbol {
        b'A'..=b'Z' => Some(symbol - b'A'),
        b'a'..=b'z' => Some(symbol - b'a' + 26),
        b'0'..=b'9' => Some(symbol - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

pub(super) fn to_base64(bytes: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let [.., sextet] = (bits >> shift & 0x3f).to_be_bytes();
            let is_padding = index > group.len();
            text.push(if is_padding {
                '='
            } else {
                SYMBOLS[usize::from(sextet)].into()
            });
        }
    }
    text
}

/// The big-endian two's complement of plain decimal text times 10^scale, as short as it can
/// be; `None` if the text is no such number.
pub(super) fn unscaled(text: &str, scale: i32) -> Option<Vec<u8>> {
    let (negative, number) = match text.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, text),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = usize::try_from(scale).ok()?;
    // More places than the scale are fine if they are zeros.
    let kept = &fraction[..scale.min(fraction.len())];
    let lost = &fraction[kept.len()..];
    let digits = whole.bytes().chain(kept.bytes());
    let digits = digits.chain(std::iter::repeat_n(b'0', scale - kept.len()));
    let mut magnitude = vec![0_u8];
    for digit in digits {
        let mut carry = u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        for byte in magnitude.iter_mut().rev() {
            let [high, low] = (u16::from(*byte) * 10 + carry).to_be_bytes();
            *byte = low;
            carry = u16::from(high);
        }
        let [_, high] = carry.to_be_bytes();
        if high > 0 {
            magnitude.insert(0, high);
        }
    }
    if lost.bytes().any(|digit| digit != b'0') || number.is_empty() {
        return None;
    }
    magnitude.insert(0, 0);
    let mut bytes = match negative {
        true => self::magnitude(&magnitude, true),
        false => magnitude,
    };
    while let [first, second, ..] = bytes[..] {
        let is_redundant = matches!((first, second & 0x80), (0, 0) | (0xff, 0x80));
        if !is_redundant {
            break;
        }
        bytes.remove(0);
    }
    Some(bytes)
}

/// Beyond what any database's numbers have room for: such a value is an accident, or meant
/// to exhaust whoever writes it out.
const LARGEST_UNSCALED: usize = 8 * 1024;
const LARGEST_SCALE: u32 = 100_000;

/// The decimal text of a big-endian two's complement integer times 10^-scale.
pub(super) fn decimal_text(unscaled: &[u8], scale: i32) -> Option<String> {
    if unscaled.len() > LARGEST_UNSCALED || scale.unsigned_abs() > LARGEST_SCALE {
        return None;
    }
    let negative = *unscaled.first()? & 0x80 != 0;
    let mut digits = decimal_digits(&magnitude(unscaled, negative));
    let places = usize::try_from(scale.unsigned_abs()).ok()?;
    if scale < 0 {
        digits.push_str(&"0".repeat(places));
    } else if places > 0 {
        let missing = (places + 1).saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        digits.insert(digits.len() - places, '.');
    }
    if negative {
        digits.insert(0, '-');
    }
    Some(digits)
}

fn magnitude(unscaled: &[u8], negative: bool) -> Vec<u8> {
    let mut bytes = unscaled.to_vec();
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (negated, overflow) = (!*byte).overflowing_add(u8::from(carry));
            *byte = negated;
            carry = overflow;
        }
    }
    bytes
}

/// Long division by ten, a digit at a time: decimals are short.
fn decimal_digits(magnitude: &[u8]) -> String {
    let mut number = magnitude.to_vec();
    let mut digits = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut remainder = 0_u16;
        for byte in &mut number {
            let dividend = remainder << 8 | u16::from(*byte);
            *byte = u8::try_from(dividend / 10).unwrap_or(u8::MAX);
            remainder = dividend % 10;
        }
        digits.push(char::from_digit(remainder.into(), 10).unwrap_or('0'));
    }
    if digits.is_empty() {
        digits.push('0');
    }
    digits.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_every_length_of_the_last_group() {
        assert_eq!(from_base64("").unwrap(), b"");
        assert_eq!(from_base64("AA==").unwrap(), [0]);
        assert_eq!(from_base64("AJw=").unwrap(), [0, 0x9c]);
        assert_eq!(from_base64("Zm9v\nYmFy").unwrap(), b"foobar");
        for bad in ["A", "AA", "AA=", "A===", "AA*=", "=AAA", "1.56"] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_unscaled_integer_becomes_plain_decimal_text() {
        for (bytes, scale, text) in [
            (&[0x00, 0x9c][..], 2, "1.56"),
            (&[0x9c], 2, "-1.00"),
            (&[0xff], 2, "-0.01"),
            (&[0x00], 0, "0"),
            (&[0x05], 3, "0.005"),
            (&[0x05], -3, "5000"),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0], 0, "-9223372036854775808"),
            (&[0x01, 0, 0, 0, 0, 0, 0, 0, 0], 0, "18446744073709551616"),
        ] {
            assert_eq!(decimal_text(bytes, scale).as_deref(), Some(text));
        }
        assert_eq!(decimal_text(&[], 2), None);
        assert_eq!(decimal_text(&[1], i32::MAX), None);
        assert_eq!(decimal_text(&[1; 100_000], 0), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for bytes in [&b""[..], &[0], &[0, 0x9c], b"foobar", &[0xff; 4]] {
            assert_eq!(from_base64(&to_base64(bytes)).unwrap(), bytes);
        }
        assert_eq!(to_base64(&[0, 0x9c]), "AJw=");
        for (text, scale, bytes) in [
            ("1.56", 2, &[0x00, 0x9c][..]),
            ("-1.00", 2, &[0x9c]),
            ("-0.01", 2, &[0xff]),
            ("0", 0, &[0]),
            ("0.005", 3, &[5]),
            ("1.5", 2, &[0x00, 0x96]),
            ("1.500", 1, &[0x0f]),
            ("-9223372036854775808", 0, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
            ("18446744073709551616", 0, &[0x01, 0, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(unscaled(text, scale).as_deref(), Some(bytes), "{text}");
        }
        for bad in ["1.555", "", "NaN", "1e3", "+1"] {
            assert_eq!(unscaled(bad, 2), None, "{bad}");
        }
    }
}
