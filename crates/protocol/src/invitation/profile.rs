//! What a device says of itself, before anybody knows whose it is: cleaned and cut.

use crate::credential::DeviceProfile;

/// Letters of a label.
const LONGEST_LABEL: usize = 64;
/// Letters of everything else.
const LONGEST_WORD: usize = 32;

pub(super) fn clean_profile(profile: &DeviceProfile) -> DeviceProfile {
    DeviceProfile {
        label: clean_label(&profile.label),
        platform: clean(&profile.platform, LONGEST_WORD),
        architecture: clean(&profile.architecture, LONGEST_WORD),
        os: clean(&profile.os, LONGEST_WORD),
        os_version: clean(&profile.os_version, LONGEST_WORD),
    }
}

pub(super) fn clean_label(label: &str) -> String {
    clean(label, LONGEST_LABEL)
}

/// On one line, without letters that turn text around, hide or stack up; at most so many.
fn clean(text: &str, longest: usize) -> String {
    let visible = text.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter });
    let visible: String = visible.filter(|letter| !is_hidden(*letter)).take(longest).collect();
    visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Control and format characters, combining marks that stack, private use, tags, and what stands for nothing.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffd}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}
