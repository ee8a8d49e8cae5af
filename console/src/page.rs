use actix_web::HttpResponse;
use actix_web::web::Path;
use shared::http::Problem;

/// The page has all it needs: no other origin is ever asked.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal: $media_type:literal),+ $(,)?) => {
        &[$(($name, $media_type, include_str!(concat!("../web/", $name)))),+]
    };
}

/// Name, media type, content.
const FILES: &[(&str, &str, &str)] = files! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "flow.js": "text/javascript; charset=utf-8",
    "shop.js": "text/javascript; charset=utf-8",
    "orders.js": "text/javascript; charset=utf-8",
    "race.js": "text/javascript; charset=utf-8",
    "proof.js": "text/javascript; charset=utf-8",
    "breaker.js": "text/javascript; charset=utf-8",
    "letters.js": "text/javascript; charset=utf-8",
};

pub(super) async fn index() -> Result<HttpResponse, Problem> {
    serve("index.html")
}

pub(super) async fn file(name: Path<String>) -> Result<HttpResponse, Problem> {
    serve(&name)
}

fn serve(name: &str) -> Result<HttpResponse, Problem> {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, media_type, content) =
        found.ok_or_else(|| Problem::not_found(format!("the page has no file {name}")))?;
    Ok(HttpResponse::Ok()
        .content_type(*media_type)
        .insert_header(("Content-Security-Policy", POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        // Another version of the console has other files under the same names.
        .insert_header(("Cache-Control", "no-cache"))
        .body(*content))
}
