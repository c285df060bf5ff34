//! Unicode normalization form C (UAX 15): whether a text is in it.
//!
//! `é` can be written as one character or as two, `e` and an accent, and looks the same. Ids are
//! compared byte for byte, so only one of the two may be an id: the composed one, form C, which
//! keyboards produce. A text is in form C if no two of its characters could be composed to one, if
//! its marks are in canonical order, and if it has no character that form C writes otherwise.
//!
//! **Invariants**
//! - The tables come from the build script (`src/build.rs`), and begin at U+0300: a text without
//!   any character from there on is always in form C.
//!
//! It does not know ids.

// NEVER: characters that form C writes otherwise. CLASSES: marks, with their combining class.
// PAIRS: characters that are composed, the first and the second one; LONG_PAIRS: pairs beyond 16
// bits. Packed, because they are a hundredth of the program.
include!(concat!(env!("OUT_DIR"), "/nfc.rs"));

/// Returns `true` if a text is in form C.
pub fn is_nfc(text: &str) -> bool {
    // The last character with class 0, and the class of the last mark behind it.
    let (mut starter, mut last_class) = (None, 0);
    text.chars().all(|char| {
        if char < '\u{300}' {
            (starter, last_class) = (Some(char), 0);
            return true;
        }
        let class = find(CLASSES, char).unwrap_or(0);
        // A mark of the same class as the one before is blocked: only the first can be composed.
        let is_blocked = last_class != 0 && class <= last_class;
        let composes = !is_blocked && starter.is_some_and(|starter| is_pair(starter, char));
        let is_ordered = class == 0 || class >= last_class;
        if class == 0 {
            starter = Some(char);
        }
        last_class = class;
        is_ordered && !composes && find(NEVER, char).is_none()
    })
}

/// Looks a character up in a table of ranges, as the build script packs them.
fn find(table: &[u32], char: char) -> Option<u8> {
    let behind = table.partition_point(|range| range >> 11 <= char as u32);
    let range = *table.get(behind.checked_sub(1)?)?;
    let (first, more) = (range >> 11, range >> 8 & 7);
    (char as u32 - first <= more).then_some(range as u8)
}

/// Returns `true` if two characters are written as one in form C.
fn is_pair(first: char, second: char) -> bool {
    // Hangul, by the rule of the standard (3.12): a leading consonant and a vowel, or a syllable
    // without a trailing consonant and one of these.
    match (first, second) {
        ('\u{1100}'..='\u{1112}', '\u{1161}'..='\u{1175}') => return true,
        ('\u{ac00}'..='\u{d7a3}', '\u{11a8}'..='\u{11c2}') => {
            return (first as u32 - 0xac00).is_multiple_of(28);
        }
        _ => {}
    }
    match (u16::try_from(first), u16::try_from(second)) {
        (Ok(first), Ok(second)) => PAIRS.binary_search(&(first, second)).is_ok(),
        _ => LONG_PAIRS.binary_search(&(first.into(), second.into())).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    fn is_its_own_nfc(text: &str) -> bool {
        text.nfc().eq(text.chars())
    }

    #[test]
    fn usual_names_are_in_form_c() {
        for text in ["alice", "José", "Ελένη", "Ngọc", "বাংলা", "한국", "李雷", "ọ\u{301}", "नुक़्ता"]
        {
            assert_eq!(is_nfc(text), is_its_own_nfc(text), "{text}");
        }
        assert!(is_nfc("Jos\u{e9}") && !is_nfc("Jose\u{301}"));
        assert!(is_nfc("\u{d55c}") && !is_nfc("\u{1112}\u{1161}\u{11ab}"));
        assert!(!is_nfc("\u{212b}"), "the sign for Angstrom is written as a letter");
        assert!(!is_nfc("q\u{307}\u{323}"), "two marks in the wrong order");
        assert!(is_nfc(""));
    }

    #[test]
    fn every_character_alone_and_behind_a_letter_is_judged_right() {
        for char in '\0'..=char::MAX {
            for text in [char.to_string(), format!("a{char}"), format!("a\u{323}{char}")] {
                assert_eq!(is_nfc(&text), is_its_own_nfc(&text), "{}", text.escape_unicode());
            }
        }
    }

    #[test]
    fn every_pair_that_composes_is_found() {
        for char in '\0'..=char::MAX {
            let mut apart = String::new();
            unicode_normalization::char::decompose_canonical(char, |part| apart.push(part));
            assert_eq!(is_nfc(&apart), is_its_own_nfc(&apart), "{}", apart.escape_unicode());
        }
    }

    /// Letters that compose with marks, parts of Hangul and Bengali, and marks of many classes.
    const LETTERS_AND_MARKS: &str = "[ae\u{1100}\u{1161}\u{11a8}\u{ac00}\u{9c7}\u{9be}\u{3b1}\
        \u{300}-\u{345}\u{1dc0}-\u{1dff}]{0,6}";

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn texts_of_letters_and_marks_are_judged_right(text in LETTERS_AND_MARKS) {
            prop_assert_eq!(is_nfc(&text), is_its_own_nfc(&text), "{}", text.escape_unicode());
        }
    }
}
