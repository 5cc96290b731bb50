//! Character sets: what the bytes above ASCII mean, by the syntax identifier of `UNB`.

use std::borrow::Cow;

/// How the bytes of a document are read as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Charset {
    /// UTF-8: UNOW and UNOY, and every document that is UTF-8 whatever it says.
    #[default]
    Utf8,
    /// ISO 8859-1: UNOC, and what UNOA and UNOB hold beyond what they may.
    Latin1,
    /// Another part of ISO 8859: the 96 characters from A0 on. FFFD stands for what it leaves undefined.
    Part(&'static str),
}

impl Charset {
    /// The character set of a syntax identifier (0001); none where it is unknown.
    pub fn of(syntax: &str) -> Option<Self> {
        match syntax {
            "UNOA" | "UNOB" | "UNOC" => Some(Self::Latin1),
            // UNOX changes sets by escape sequences; what is used of it in practice is UTF-8.
            "UNOW" | "UNOX" | "UNOY" => Some(Self::Utf8),
            _ => PARTS.iter().find(|(name, _)| *name == syntax).map(|(_, upper)| Self::Part(upper)),
        }
    }

    /// The bytes as text. A byte that means nothing becomes the replacement character.
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        if let Ok(text) = core::str::from_utf8(bytes)
            && (self == Self::Utf8 || text.is_ascii())
        {
            return Cow::Borrowed(text);
        }
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes),
            Self::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
            Self::Part(upper) => {
                let upper: Vec<char> = upper.chars().collect();
                let character = |byte: &u8| match byte.checked_sub(0xA0) {
                    Some(place) => upper.get(usize::from(place)).copied().unwrap_or('\u{FFFD}'),
                    None => char::from(*byte),
                };
                bytes.iter().map(character).collect()
            }
        }
    }

    /// The text as bytes, none where a character has no place in the set.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        if text.is_ascii() || self == Self::Utf8 {
            return Some(text.as_bytes().to_vec());
        }
        text.chars().map(|character| self.byte(character)).collect()
    }

    fn byte(self, character: char) -> Option<u8> {
        let code = u32::from(character);
        match self {
            _ if code < 0x80 => u8::try_from(code).ok(),
            Self::Latin1 => u8::try_from(code).ok(),
            Self::Part(upper) => {
                let place = upper.chars().position(|known| known == character && known != '\u{FFFD}')?;
                u8::try_from(place + 0xA0).ok()
            }
            Self::Utf8 => None,
        }
    }
}

/// The syntax identifiers of the other parts of ISO 8859, by service code list 0001.
const PARTS: &[(&str, &str)] = &[
    // ISO 8859-2.
    (
        "UNOD",
        "\u{A0}Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u{AD}ŽŻ°ą˛ł´ľśˇ¸šşťź˝žżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙",
    ),
    // ISO 8859-5.
    (
        "UNOE",
        "\u{A0}ЁЂЃЄЅІЇЈЉЊЋЌ\u{AD}ЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя№ёђѓєѕіїјљњћќ§ўџ",
    ),
    // ISO 8859-7.
    (
        "UNOF",
        "\u{A0}‘’£€₯¦§¨©ͺ«¬\u{AD}\u{FFFD}―°±²³΄΅Ά·ΈΉΊ»Ό½ΎΏΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡ\u{FFFD}ΣΤΥΦΧΨΩΪΫάέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ\u{FFFD}",
    ),
    // ISO 8859-3.
    (
        "UNOG",
        "\u{A0}Ħ˘£¤\u{FFFD}Ĥ§¨İŞĞĴ\u{AD}\u{FFFD}Ż°ħ²³´µĥ·¸ışğĵ½\u{FFFD}żÀÁÂ\u{FFFD}ÄĊĈÇÈÉÊËÌÍÎÏ\u{FFFD}ÑÒÓÔĠÖ×ĜÙÚÛÜŬŜßàáâ\u{FFFD}äċĉçèéêëìíîï\u{FFFD}ñòóôġö÷ĝùúûüŭŝ˙",
    ),
    // ISO 8859-4.
    (
        "UNOH",
        "\u{A0}ĄĸŖ¤ĨĻ§¨ŠĒĢŦ\u{AD}Ž¯°ą˛ŗ´ĩļˇ¸šēģŧŊžŋĀÁÂÃÄÅÆĮČÉĘËĖÍÎĪĐŅŌĶÔÕÖ×ØŲÚÛÜŨŪßāáâãäåæįčéęëėíîīđņōķôõö÷øųúûüũū˙",
    ),
    // ISO 8859-6.
    (
        "UNOI",
        "\u{A0}\u{FFFD}\u{FFFD}\u{FFFD}\u{A4}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{60C}\u{AD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{61B}\u{FFFD}\u{FFFD}\u{FFFD}\u{61F}\u{FFFD}\u{621}\u{622}\u{623}\u{624}\u{625}\u{626}\u{627}\u{628}\u{629}\u{62A}\u{62B}\u{62C}\u{62D}\u{62E}\u{62F}\u{630}\u{631}\u{632}\u{633}\u{634}\u{635}\u{636}\u{637}\u{638}\u{639}\u{63A}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{640}\u{641}\u{642}\u{643}\u{644}\u{645}\u{646}\u{647}\u{648}\u{649}\u{64A}\u{64B}\u{64C}\u{64D}\u{64E}\u{64F}\u{650}\u{651}\u{652}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}",
    ),
    // ISO 8859-8.
    (
        "UNOJ",
        "\u{A0}\u{FFFD}\u{A2}\u{A3}\u{A4}\u{A5}\u{A6}\u{A7}\u{A8}\u{A9}\u{D7}\u{AB}\u{AC}\u{AD}\u{AE}\u{AF}\u{B0}\u{B1}\u{B2}\u{B3}\u{B4}\u{B5}\u{B6}\u{B7}\u{B8}\u{B9}\u{F7}\u{BB}\u{BC}\u{BD}\u{BE}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{2017}\u{5D0}\u{5D1}\u{5D2}\u{5D3}\u{5D4}\u{5D5}\u{5D6}\u{5D7}\u{5D8}\u{5D9}\u{5DA}\u{5DB}\u{5DC}\u{5DD}\u{5DE}\u{5DF}\u{5E0}\u{5E1}\u{5E2}\u{5E3}\u{5E4}\u{5E5}\u{5E6}\u{5E7}\u{5E8}\u{5E9}\u{5EA}\u{FFFD}\u{FFFD}\u{200E}\u{200F}\u{FFFD}",
    ),
    // ISO 8859-9.
    (
        "UNOK",
        "\u{A0}¡¢£¤¥¦§¨©ª«¬\u{AD}®¯°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞßàáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ",
    ),
    // ISO 8859-15.
    (
        "UNOL",
        "\u{A0}¡¢£€¥Š§š©ª«¬\u{AD}®¯°±²³Žµ¶·ž¹º»ŒœŸ¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
    ),
];
