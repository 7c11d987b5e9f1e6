//! What Go's JSON scanner says of text that is no JSON.

/// How deep values may lie in each other. Go goes on to 10,000, and the JSON library of this program to this.
const DEPTH_MAX: usize = 127;

/// The message for the first value of a body; `None` where it is fine, whatever follows it.
pub(crate) fn complaint(body: &[u8]) -> Option<String> {
    let mut scanner = Scanner { body, at: 0, depth: 0 };
    scanner.skip_space();
    if scanner.peek().is_none() {
        return Some("EOF".to_owned());
    }
    match scanner.value() {
        Ok(()) => None,
        Err(Bad::Deep) => Some("exceeded max depth".to_owned()),
        Err(Bad::End) => Some("unexpected EOF".to_owned()),
        Err(Bad::At(byte, context)) => Some(format!("invalid character {} {context}", quoted(byte))),
    }
}

enum Bad {
    Deep,
    End,
    At(u8, String),
}

struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, Bad> {
        let byte = self.peek().ok_or(Bad::End)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), Bad> {
        self.skip_space();
        match self.next()? {
            b'{' => self.deeper(Self::object),
            b'[' => self.deeper(Self::array),
            b'"' => self.string(),
            b'-' => match self.next()? {
                first @ b'0'..=b'9' => self.number(first),
                byte => bad(byte, "in numeric literal"),
            },
            first @ b'0'..=b'9' => self.number(first),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            byte => bad(byte, "looking for beginning of value"),
        }
    }

    fn deeper(&mut self, inner: fn(&mut Self) -> Result<(), Bad>) -> Result<(), Bad> {
        if self.depth == DEPTH_MAX {
            return Err(Bad::Deep);
        }
        self.depth += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self) -> Result<(), Bad> {
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            match self.next()? {
                b'"' => self.string()?,
                byte => return bad(byte, "looking for beginning of object key string"),
            }
            self.skip_space();
            match self.next()? {
                b':' => self.value()?,
                byte => return bad(byte, "after object key"),
            }
            self.skip_space();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                byte => return bad(byte, "after object key:value pair"),
            }
        }
    }

    fn array(&mut self) -> Result<(), Bad> {
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value()?;
            self.skip_space();
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                byte => return bad(byte, "after array element"),
            }
        }
    }

    fn string(&mut self) -> Result<(), Bad> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let digit = self.next()?;
                            if !digit.is_ascii_hexdigit() {
                                return bad(digit, "in \\u hexadecimal character escape");
                            }
                        }
                    }
                    byte => return bad(byte, "in string escape code"),
                },
                byte if byte < 0x20 => return bad(byte, "in string literal"),
                _ => {}
            }
        }
    }

    fn number(&mut self, first: u8) -> Result<(), Bad> {
        if first != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn digit(&mut self, context: &str) -> Result<(), Bad> {
        match self.next()? {
            b'0'..=b'9' => {
                self.digits();
                Ok(())
            }
            byte => bad(byte, context),
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), Bad> {
        for expected in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                return bad(byte, &format!("in literal {word} (expecting '{}')", char::from(expected)));
            }
        }
        Ok(())
    }
}

fn bad<T>(byte: u8, context: &str) -> Result<T, Bad> {
    Err(Bad::At(byte, context.to_owned()))
}

/// A byte as Go quotes it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(byte)),
        0x00..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, complaint};

    #[test]
    fn complaints_are_those_of_go() {
        for (body, expected) in [
            ("", "EOF"),
            (" \n", "EOF"),
            ("{", "unexpected EOF"),
            ("{bad", "invalid character 'b' looking for beginning of object key string"),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (r#"{"a":1 "b"}"#, "invalid character '\"' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("\u{1f}", "invalid character '\\x1f' looking for beginning of value"),
            ("tru3", "invalid character '3' in literal true (expecting 'e')"),
            (r#"{"a":"\q"}"#, "invalid character 'q' in string escape code"),
        ] {
            assert_eq!(complaint(body.as_bytes()).as_deref(), Some(expected), "{body:?}");
        }
        for deep in ["[", r#"{"a":"#] {
            let body = deep.repeat(100_000);
            assert_eq!(complaint(body.as_bytes()).as_deref(), Some("exceeded max depth"));
        }
        let deep = format!("{}1{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert_eq!(complaint(deep.as_bytes()), None);
        assert!(serde_json::from_str::<serde_json::Value>(&deep).is_ok());
        for body in ["{}", "null", r#"{"a":[1,-2.5e3,"é\u00e9"]} and more"#] {
            assert_eq!(complaint(body.as_bytes()), None, "{body:?}");
        }
    }
}
