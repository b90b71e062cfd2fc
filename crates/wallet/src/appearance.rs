//! How an asker appears to the user.
//!
//! Names are claims, so they are cleaned and always shown as claims; addresses are facts, shown in the form
//! in which two different ones look different. What can be done with a name that a person reads — text that
//! runs backwards, invisible letters, "HALO Security Update" — is done to strangers every day; see
//! Unicode Technical Report 36 (Unicode Security Considerations).

use unicode_normalization::UnicodeNormalization;
use url::{Host, Url};

use crate::asker::{AppKind, Asker};
use crate::request::{AskerView, Warning};

/// Longer names are cut: a prompt has one line for them.
const LONGEST_NAME: usize = 40;
/// Longer messages are cut; CIBA asks for "relatively short" ones.
const LONGEST_MESSAGE: usize = 80;

/// Shows an asker; `known` are the addresses of apps that have a grant.
pub(crate) fn asker_view<'a>(asker: &Asker, known: impl Iterator<Item = &'a str>) -> AskerView {
    let mut warnings = Vec::new();
    let mut origin = None;
    let mut registrable_domain = None;
    match asker.kind {
        AppKind::Web => {
            if asker.impostor {
                warnings.push(Warning::NotABrowser);
            }
            if let Ok(url) = Url::parse(&asker.client_id) {
                origin = Some(url.origin().ascii_serialization());
                registrable_domain = registrable(&url);
                warnings.extend(address_warnings(&url, known));
            }
        }
        AppKind::Native => {}
    }
    if asker.process.is_none() {
        warnings.push(Warning::UnknownProcess);
    }
    AskerView {
        name: asker.claimed_name.as_deref().and_then(clean_name),
        kind: asker.kind,
        origin,
        registrable_domain,
        client_id: clean(&asker.client_id, 256),
        process: asker.process.clone(),
        warnings,
    }
}

/// Cleans what an app calls itself; `None` if nothing is left.
pub(crate) fn clean_name(name: &str) -> Option<String> {
    let clean = clean(name, LONGEST_NAME);
    (!clean.is_empty()).then_some(clean)
}

/// Cleans a message that an app wants shown.
pub(crate) fn clean_message(message: &str) -> Option<String> {
    let clean = clean(message, LONGEST_MESSAGE);
    (!clean.is_empty()).then_some(clean)
}

/// Composes, drops what cannot be seen or turns text around, folds white space, and cuts.
pub(crate) fn clean(text: &str, longest: usize) -> String {
    let mut out = String::new();
    let mut marks = 0;
    // Four times the length is read at most: a megabyte of marks is not worth normalising.
    for letter in text.chars().take(longest * 4).nfc() {
        if out.chars().count() >= longest {
            out.push('…');
            break;
        }
        if letter.is_whitespace() {
            if !out.is_empty() && !out.ends_with(' ') {
                out.push(' ');
            }
        } else if !is_hidden(letter) {
            // A tower of combining marks paints over the lines above it.
            marks = if unicode_normalization::char::is_combining_mark(letter) { marks + 1 } else { 0 };
            if marks <= 2 {
                out.push(letter);
            }
        }
    }
    out.trim_end().to_owned()
}

/// Control, format and private-use characters: bidirectional overrides, zero-width letters, tags.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' |
            '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' |
            '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' |
            '\u{e000}'..='\u{f8ff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

/// The site of an origin: what somebody registered (Public Suffix List), whatever they put before it. On this machine each
/// port is a site.
#[must_use]
pub fn site(origin: &str) -> String {
    let url = Url::parse(origin).ok().filter(|url| url.domain().is_some() && !is_loopback(url));
    url.and_then(|url| registrable(&url)).unwrap_or_else(|| origin.to_owned())
}

fn registrable(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain(domain) => {
            Some(psl::domain_str(domain).map_or_else(|| domain.to_owned(), str::to_owned))
        }
        address => Some(address.to_string()),
    }
}

fn address_warnings<'a>(url: &Url, known: impl Iterator<Item = &'a str>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let Some(host) = url.host_str() else { return warnings };
    if url.scheme() == "http" && !is_loopback(url) {
        warnings.push(Warning::Insecure);
    }
    if host.split('.').any(|label| label.starts_with("xn--")) {
        warnings.push(Warning::International);
    }
    let Some(mine) = registrable(url).filter(|_| !is_loopback(url)) else { return warnings };
    let mine_skeleton = skeleton(&mine);
    for other in known {
        let Ok(other_url) = Url::parse(other) else { continue };
        let Some(theirs) = registrable(&other_url) else { continue };
        if theirs == mine || is_loopback(&other_url) {
            continue;
        }
        let theirs_skeleton = skeleton(&theirs);
        let close = theirs_skeleton == mine_skeleton
            || (theirs.len() >= 6 && within_one_edit(&theirs_skeleton, &mine_skeleton))
            || host.replace(['-', '.'], "").contains(&theirs.replace(['-', '.'], ""));
        if close {
            warnings.push(Warning::LooksLike { known: other_url.origin().ascii_serialization() });
            break;
        }
    }
    warnings
}

/// Whether the page is served by this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Maps a domain to a form in which those that look alike are equal: a small table for the letters that are
/// used for it in practice (Latin look-alikes, digits, Cyrillic and Greek twins).
fn skeleton(domain: &str) -> String {
    let (unicode, _) = idna::domain_to_unicode(domain);
    let folded: String = unicode
        .nfkd()
        .filter(|letter| !unicode_normalization::char::is_combining_mark(*letter))
        .map(|letter| match letter {
            '0' | 'о' | 'ο' => 'o',
            '1' | 'l' | 'і' | 'ι' | 'ı' | '|' => 'i',
            'а' | 'α' => 'a',
            'е' | 'ε' => 'e',
            'с' => 'c',
            'р' | 'ρ' => 'p',
            'х' | 'χ' => 'x',
            'у' | 'γ' => 'y',
            'ѕ' | '5' => 's',
            'к' | 'κ' => 'k',
            'м' => 'm',
            'т' | 'τ' => 't',
            'в' | 'β' => 'b',
            'н' => 'h',
            'ν' => 'v',
            'ո' => 'n',
            'ԁ' => 'd',
            'ɡ' => 'g',
            'ԝ' => 'w',
            'ј' => 'j',
            'ԛ' => 'q',
            other => other,
        })
        .collect();
    folded.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}

/// Whether one insertion, deletion, replacement or swap of neighbours turns `a` into `b`.
fn within_one_edit(a: &str, b: &str) -> bool {
    let mut a: Vec<char> = a.chars().collect();
    let mut b: Vec<char> = b.chars().collect();
    let start = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    a.drain(..start);
    b.drain(..start);
    while a.last().is_some() && a.last() == b.last() {
        a.pop();
        b.pop();
    }
    match (a.as_slice(), b.as_slice()) {
        ([] | [_], [] | [_]) => true,
        ([a1, a2], [b1, b2]) => a1 == b2 && a2 == b1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(origin: &str) -> Asker {
        Asker {
            client_id: origin.into(),
            kind: AppKind::Web,
            process: None,
            claimed_name: None,
            impostor: false,
            instance: None,
        }
    }

    fn warnings(origin: &str, known: &[&str]) -> Vec<Warning> {
        let mut view = asker_view(&web(origin), known.iter().copied());
        view.warnings.retain(|warning| *warning != Warning::UnknownProcess);
        view.warnings
    }

    // threat: 15
    #[test]
    fn a_name_cannot_turn_text_around_or_hide_letters() {
        assert_eq!(clean_name("Bank\u{202e}gnp.exe").as_deref(), Some("Bankgnp.exe"));
        assert_eq!(clean_name("Pay\u{200b}Pal\n\n  \u{feff}").as_deref(), Some("PayPal"));
        assert_eq!(clean_name(" \u{2066}\u{2069} "), None, "nothing is left");
        let tower = format!("a{}", "\u{0301}".repeat(500));
        assert!(clean_name(&tower).unwrap().chars().count() <= 3, "no towers of marks");
        assert!(clean_name(&"x".repeat(100_000)).unwrap().chars().count() <= LONGEST_NAME + 1);
    }

    // threat: 14
    #[test]
    fn an_international_address_is_shown_in_punycode_and_flagged() {
        let view = asker_view(&web("https://www.аpple.com"), std::iter::empty());
        assert_eq!(view.origin.as_deref(), Some("https://www.xn--pple-43d.com"));
        assert_eq!(view.registrable_domain.as_deref(), Some("xn--pple-43d.com"));
        assert!(view.warnings.contains(&Warning::International));
    }

    // threat: 14
    #[test]
    fn an_address_close_to_a_known_one_is_flagged() {
        let known = ["https://bank.example", "https://paypal.com"];
        for close in [
            "https://paypa1.com",
            "https://paypall.com",
            "https://papyal.com",
            "https://xn--pypal-4ve.com",
            "https://paypal.com.evil.example",
            "https://paypal-com.example",
        ] {
            let found = warnings(close, &known);
            assert!(
                found.iter().any(
                    |warning| matches!(warning, Warning::LooksLike { known } if known.contains("paypal"))
                ),
                "{close} is like paypal.com: {found:?}"
            );
        }
        for fair in
            ["https://paypal.com", "https://www.paypal.com", "https://other.example", "http://localhost:3000"]
        {
            assert_eq!(warnings(fair, &known), vec![], "{fair} is fair");
        }
    }

    #[test]
    fn the_registered_part_is_what_somebody_registered() {
        let domain = |origin: &str| asker_view(&web(origin), std::iter::empty()).registrable_domain;
        assert_eq!(domain("https://a.b.example.co.uk").as_deref(), Some("example.co.uk"));
        assert_eq!(domain("http://127.0.0.1:5173").as_deref(), Some("127.0.0.1"));
        assert_eq!(domain("http://localhost:5173").as_deref(), Some("localhost"));
    }

    // threat: 4
    #[test]
    fn a_program_that_claims_to_be_a_page_is_shown_as_such() {
        let asker = Asker { impostor: true, ..web("https://bank.example") };
        assert!(asker_view(&asker, std::iter::empty()).warnings.contains(&Warning::NotABrowser));
    }

    #[test]
    fn a_page_that_is_not_encrypted_is_flagged_unless_it_is_local() {
        assert_eq!(warnings("http://app.example", &[]), vec![Warning::Insecure]);
        assert_eq!(warnings("http://127.0.0.1:8080", &[]), vec![]);
    }
}
