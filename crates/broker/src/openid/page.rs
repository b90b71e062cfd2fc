//! The approval page: "approve this in HALO", three words, and nothing about the user.
//!
//! No script or style stands in the page itself; the policy allows only the two files of this broker. It may
//! not be framed, is not stored, and tells nobody where the browser came from.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::error::OAuthError;

const SCRIPT: &str = include_str!("page/page.js");
const STYLE: &str = include_str!("page/page.css");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page shows.
pub(super) struct Shown<'a> {
    pub(super) client: &'a str,
    /// Words to compare with the prompt; none if the app shows its own.
    pub(super) words: Option<&'a [String; 3]>,
    /// By which the page asks how things stand.
    pub(super) secret: &'a str,
}

/// The page while the user answers.
pub(super) fn waiting(shown: &Shown<'_>) -> Response {
    let words = shown.words.map_or_else(
        || {
            "<p class=\"hint\">HALO shows four groups of three words. Pick the group that the app has shown \
             you.</p>"
                .to_owned()
        },
        |words| {
            let words: String = words.iter().map(|word| format!("<li>{}</li>", escape(word))).collect();
            format!(
                "<p class=\"hint\" id=\"about-words\">HALO must show the same three words:</p>\
                 <ul class=\"words\" aria-labelledby=\"about-words\">{words}</ul>"
            )
        },
    );
    let main = format!(
        "<main data-request=\"{}\"><h1>Approve this in HALO</h1>\
         <p><strong class=\"app\">{}</strong> wants you to sign in.</p>{words}\
         <p id=\"status\" role=\"status\" aria-live=\"polite\">Waiting for your answer in the HALO window…</p>\
         <noscript><p>This page needs scripts to return to the app by itself.</p></noscript></main>",
        escape(shown.secret),
        escape(shown.client),
    );
    html(StatusCode::OK, "Approve this in HALO", &main, true)
}

/// The page that says why nobody is asked.
pub(super) fn refusal(error: &OAuthError) -> Response {
    let main = format!(
        "<main><h1>HALO cannot do this</h1><p>The app sent you here in a way that does not work: {}.</p>\
         <p class=\"hint\">Nothing was shared. Go back to the app and try again.</p>\
         <p class=\"hint\"><code>{}</code></p></main>",
        escape(&error.description),
        escape(error.error),
    );
    html(StatusCode::BAD_REQUEST, "HALO cannot do this", &main, false)
}

fn html(status: StatusCode, title: &str, main: &str, with_script: bool) -> Response {
    let script = if with_script { "<script src=\"/authorize/page.js\" defer></script>" } else { "" };
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"stylesheet\" href=\"/authorize/page.css\">{script}</head><body>{main}</body></html>"
    );
    let mut response = (status, axum::response::Html(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// `GET /authorize/page.js`.
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

/// `GET /authorize/page.css`.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // threat: 15
    #[test]
    fn nothing_an_app_says_becomes_markup() {
        assert_eq!(
            escape("<a href=\"x\" onload='y'>&"),
            "&lt;a href=&quot;x&quot; onload=&#39;y&#39;&gt;&amp;"
        );
    }
}
