//! JSON to Lua values.
//!
//! The reader keeps its own stack of open tables, so deep input costs no stack of the thread.

use mlua::{Error, IntoLua, LightUserData, Lua, LuaString, Table, Value};

use super::super::arguments::Arguments;
use super::super::numbers;
use super::super::raise::Failure;
use super::super::stack;
use super::Settings;

type Result<T> = std::result::Result<T, Failure>;

/// Decodes the argument.
pub(super) fn decode(arguments: &Arguments<'_>, settings: &Settings) -> mlua::Result<Value> {
    if arguments.len() != 1 {
        return Err(arguments.argument_error(1, "expected 1 argument"));
    }
    let text = arguments.string(1)?;
    let text = text.as_bytes();
    let reader = Reader {
        lua: arguments.lua,
        settings,
        text: &text,
        at: 0,
        scratch: Vec::new(),
        open: Vec::new(),
        slots: 1,
    };
    reader.document().map_err(|error| error.raise(arguments.lua))
}

/// A token.
#[derive(Debug)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    String(LuaString),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// What the error texts call it.
    fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::String(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(reason) => reason,
        }
    }
}

/// A table that is being filled.
#[derive(Debug)]
enum Open {
    Array { table: Table, len: i64 },
    Object { table: Table },
}

impl Open {
    /// Slots that Redis's library needs to open one, and one more than it keeps while it is open.
    fn slots(&self) -> usize {
        match self {
            Self::Array { .. } => 2,
            Self::Object { .. } => 3,
        }
    }

    /// Adds a value: under the key in an object, at the end of an array.
    fn add(&mut self, key: Option<LuaString>, value: impl IntoLua) -> mlua::Result<()> {
        match self {
            Self::Array { table, len } => {
                *len += 1;
                table.raw_set(*len, value)
            }
            Self::Object { table } => table.raw_set(key, value),
        }
    }

    fn into_table(self) -> Table {
        match self {
            Self::Array { table, .. } | Self::Object { table } => table,
        }
    }
}

#[derive(Debug)]
struct Reader<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    text: &'a [u8],
    at: usize,
    scratch: Vec<u8>,
    open: Vec<Open>,
    /// Slots that Redis's library would use by now.
    slots: usize,
}

impl Reader<'_> {
    fn document(mut self) -> Result<Value> {
        if self.text.len() >= 2 && self.text[..2].contains(&0) {
            return Err(Failure::Text("JSON parser does not support UTF-16 or UTF-32".to_owned()));
        }
        let (token, start) = self.token()?;
        let root = match self.value(None, token, start)? {
            Some(scalar) => scalar,
            None => self.content()?,
        };
        match self.token()? {
            (Token::End, _) => Ok(root),
            (token, start) => Err(unexpected("the end", &token, start)),
        }
    }

    /// The byte at a position; past the end stands a NUL, as in C.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// Adds a value to the innermost table, or returns it if none is open.
    ///
    /// An array or object is added empty and stays open; then the answer is `None`.
    fn value(
        &mut self,
        key: Option<LuaString>,
        token: Token,
        start: usize,
    ) -> Result<Option<Value>> {
        let scalar = match token {
            Token::String(string) => Value::String(string),
            Token::Number(number) => Value::Number(number),
            Token::Boolean(boolean) => Value::Boolean(boolean),
            Token::Null => Value::LightUserData(LightUserData(std::ptr::null_mut())),
            Token::ArrayBegin => {
                self.descend(key, |table| Open::Array { table, len: 0 })?;
                return Ok(None);
            }
            Token::ObjectBegin => {
                self.descend(key, |table| Open::Object { table })?;
                return Ok(None);
            }
            other => return Err(unexpected("value", &other, start)),
        };
        match self.open.last_mut() {
            Some(open) => {
                open.add(key, scalar)?;
                Ok(None)
            }
            None => Ok(Some(scalar)),
        }
    }

    fn descend(&mut self, key: Option<LuaString>, open: fn(Table) -> Open) -> Result<()> {
        if self.open.len() >= self.settings.decode_max_depth.get() as usize {
            return Err(self.too_deep());
        }
        // mlua's own limit on references is a little lower than Redis's on slots.
        let table = self.lua.create_table().map_err(|error| match error {
            Error::StackError => self.too_deep(),
            other => Failure::Lua(other),
        })?;
        if let Some(outer) = self.open.last_mut() {
            outer.add(key, &table)?;
        }
        let open = open(table);
        if !stack::has_room(self.slots, open.slots()) {
            return Err(self.too_deep());
        }
        self.slots += open.slots() - 1;
        self.open.push(open);
        Ok(())
    }

    #[cold]
    fn too_deep(&self) -> Failure {
        Failure::Text(format!(
            "Found too many nested data structures ({}) at character {}",
            self.open.len() + 1,
            self.at
        ))
    }

    /// Reads until no table is open; the outermost one.
    fn content(&mut self) -> Result<Value> {
        let mut is_empty = true;
        loop {
            let (mut token, mut start) = self.token()?;
            let is_array = matches!(self.open.last(), Some(Open::Array { .. }));
            if matches!((&token, is_array), (Token::ArrayEnd, true) | (Token::ObjectEnd, false)) {
                let closed = self.open.pop().expect("the outermost table ends the loop");
                self.slots -= closed.slots() - 1;
                if self.open.is_empty() {
                    return Ok(Value::Table(closed.into_table()));
                }
                is_empty = false;
                continue;
            }
            if !is_empty {
                if !matches!(token, Token::Comma) {
                    let expected =
                        if is_array { "comma or array end" } else { "comma or object end" };
                    return Err(unexpected(expected, &token, start));
                }
                (token, start) = self.token()?;
            }
            let mut key = None;
            if !is_array {
                let Token::String(name) = token else {
                    return Err(unexpected("object key string", &token, start));
                };
                key = Some(name);
                let (colon, at) = self.token()?;
                if !matches!(colon, Token::Colon) {
                    return Err(unexpected("colon", &colon, at));
                }
                (token, start) = self.token()?;
            }
            is_empty = matches!(token, Token::ArrayBegin | Token::ObjectBegin);
            self.value(key, token, start)?;
        }
    }

    /// The next token and where it starts, for an error the place of the error.
    fn token(&mut self) -> Result<(Token, usize)> {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let start = self.at;
        let token = match self.byte(start) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return Ok((Token::End, start)),
            b'"' => {
                self.at += 1;
                let token = self.string()?;
                let is_error = matches!(token, Token::Error(_));
                return Ok((token, if is_error { self.at } else { start }));
            }
            b'-' | b'0'..=b'9' => {
                let allows_invalid = self.settings.decode_invalid_numbers.get() == 1;
                let token = if !allows_invalid && self.is_invalid_number() {
                    Token::Error("invalid number")
                } else {
                    self.number()
                };
                return Ok((token, start));
            }
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => return Ok((self.word(), start)),
            _ => return Ok((Token::Error("invalid token"), start)),
        };
        self.at += 1;
        Ok((token, start))
    }

    fn word(&mut self) -> Token {
        let rest = &self.text[self.at..];
        let (token, len) = if rest.starts_with(b"true") {
            (Token::Boolean(true), 4)
        } else if rest.starts_with(b"false") {
            (Token::Boolean(false), 5)
        } else if rest.starts_with(b"null") {
            (Token::Null, 4)
        } else if self.settings.decode_invalid_numbers.get() == 1 && self.is_invalid_number() {
            return self.number();
        } else {
            return Token::Error("invalid token");
        };
        self.at += len;
        token
    }

    fn number(&mut self) -> Token {
        match numbers::read(&self.text[self.at..]) {
            Some((number, len)) => {
                self.at += len;
                Token::Number(number)
            }
            None => Token::Error("invalid number"),
        }
    }

    /// Whether a number stands next that JSON does not know.
    fn is_invalid_number(&self) -> bool {
        let rest = &self.text[self.at..];
        if rest.first() == Some(&b'+') {
            return true;
        }
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        match rest {
            [b'0', b'x' | b'X' | b'0'..=b'9', ..] => true,
            [first, second, third, ..] if !first.is_ascii_digit() => {
                let name = [*first, *second, *third].map(|byte| byte.to_ascii_lowercase());
                name == *b"inf" || name == *b"nan"
            }
            _ => false,
        }
    }

    /// Reads a string after its opening quote.
    fn string(&mut self) -> Result<Token> {
        self.scratch.clear();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let len = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0));
            let len = len.unwrap_or(rest.len());
            let plain = &rest[..len];
            self.at += len;
            match self.byte(self.at) {
                b'"' => {
                    self.at += 1;
                    let string = if self.scratch.is_empty() {
                        self.lua.create_string(plain)?
                    } else {
                        self.scratch.extend_from_slice(plain);
                        self.lua.create_string(&self.scratch)?
                    };
                    return Ok(Token::String(string));
                }
                b'\\' => {
                    self.scratch.extend_from_slice(plain);
                    if let Err(reason) = self.escape() {
                        return Ok(Token::Error(reason));
                    }
                }
                _ => return Ok(Token::Error("unexpected end of string")),
            }
        }
    }

    /// Reads an escape into the scratch; on error the position stays at the backslash.
    fn escape(&mut self) -> std::result::Result<(), &'static str> {
        let byte = match self.byte(self.at + 1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0x0c,
            b'r' => b'\r',
            b'u' => {
                let (code, len) = self.unicode().ok_or("invalid unicode escape code")?;
                let mut utf8 = [0; 4];
                self.scratch.extend_from_slice(code.encode_utf8(&mut utf8).as_bytes());
                self.at += len;
                return Ok(());
            }
            _ => return Err("invalid escape code"),
        };
        self.scratch.push(byte);
        self.at += 2;
        Ok(())
    }

    /// The character of a `\u` escape or of a pair of them, and its length in the text.
    fn unicode(&self) -> Option<(char, usize)> {
        let first = self.hexadecimal(self.at + 2)?;
        if let Some(character) = char::from_u32(first) {
            return Some((character, 6));
        }
        let is_escape = self.byte(self.at + 6) == b'\\' && self.byte(self.at + 7) == b'u';
        if first & 0x400 != 0 || !is_escape {
            return None;
        }
        let second = self.hexadecimal(self.at + 8)?;
        if second & 0xfc00 != 0xdc00 {
            return None;
        }
        let character = char::from_u32(((first & 0x3ff) << 10 | (second & 0x3ff)) + 0x10000)?;
        Some((character, 12))
    }

    /// The value of four hexadecimal digits.
    fn hexadecimal(&self, at: usize) -> Option<u32> {
        (at..at + 4)
            .try_fold(0, |value, at| Some(value << 4 | char::from(self.byte(at)).to_digit(16)?))
    }
}

#[cold]
fn unexpected(expected: &str, found: &Token, start: usize) -> Failure {
    Failure::Text(format!(
        "Expected {expected} but found {} at character {}",
        found.name(),
        start + 1
    ))
}
