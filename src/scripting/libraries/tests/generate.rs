//! Random inputs from a seed.

/// A generator of numbers (splitmix64).
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn bytes(&mut self, len_max: usize) -> Vec<u8> {
        let len = self.below(len_max + 1);
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// A Lua expression of a number.
    pub(super) fn number(&mut self) -> String {
        match self.below(9) {
            0 => self.below(20).to_string(),
            1 => format!("-{}", self.below(300)),
            2 => format!("{:.17e}", f64::from_bits(self.next())).replace("NaN", "0/0"),
            3 => format!("{}", self.next() as i64),
            4 => format!("{}/{}", self.below(100), 1 + self.below(100)),
            5 => format!("2^{}", self.below(70)),
            6 => format!("-2^{} - {}", self.below(70), self.below(2)),
            7 => format!("{}.{}", self.next() >> self.below(63), self.pick(&["5", "25", "75"])),
            _ => self
                .pick(&["0", "1/0", "-1/0", "0/0", "0.5", "1e14", "-0", "1e15", "99999999999999.5"])
                .to_owned(),
        }
        .replace("inf", "1/0")
    }

    /// A Lua expression of a string, shorter than Lua's hash samples.
    pub(super) fn string(&mut self) -> String {
        let bytes = match self.below(3) {
            0 => self
                .pick(&["", "a", "key", "12", "0x1F", " 7 ", "1e3", "/\"\\"])
                .as_bytes()
                .to_vec(),
            1 => self.bytes(12),
            _ => (0..self.below(20)).map(|_| b'a' + self.below(26) as u8).collect(),
        };
        quoted(&bytes)
    }

    /// A Lua expression of any value, nested up to `depth`.
    pub(super) fn value(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 8 } else { 12 }) {
            0..=2 => self.number(),
            3..=5 => self.string(),
            6 => self.pick(&["true", "false", "nil", "cjson.null"]).to_owned(),
            7 if self.below(8) == 0 => self.pick(&["cjson.encode", "pcall"]).to_owned(),
            7 => self.below(10).to_string(),
            8 | 9 => {
                let items: Vec<_> = (0..self.below(6)).map(|_| self.value(depth - 1)).collect();
                format!("{{{}}}", items.join(","))
            }
            // Tables and functions as keys stand alone: their order depends on addresses.
            10 if self.below(4) == 0 => {
                format!("{{[K({})]={}}}", self.value(depth - 1), self.value(depth - 1))
            }
            _ => {
                let items: Vec<_> = (0..self.below(8)).map(|_| self.field(depth - 1)).collect();
                format!("{{{}}}", items.join(","))
            }
        }
    }

    fn field(&mut self, depth: usize) -> String {
        let value = self.value(depth);
        match self.below(20) {
            0..=12 => format!("[{}]={value}", self.string()),
            13..=16 => format!("[{}]={value}", 1 + self.below(20)),
            17 => format!("[K({})]={value}", self.number()),
            18 => format!("[{}]={value}", self.pick(&["true", "false", "cjson.null"])),
            _ => value,
        }
    }

    /// JSON, often damaged.
    pub(super) fn json(&mut self) -> Vec<u8> {
        let mut text = self.json_value(4).into_bytes();
        for _ in 0..self.below(3) {
            if text.is_empty() {
                break;
            }
            let at = self.below(text.len());
            let wild = b"[]{},:\"\\0123456789+-.eExXpPinfINFnanNAN()u tfl\0\x7f\xff\n";
            let byte = wild[self.below(wild.len())];
            match self.below(4) {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => {
                    text.remove(at);
                }
                _ => text.truncate(at),
            }
        }
        text
    }

    fn json_value(&mut self, depth: usize) -> String {
        let space = self.pick(&["", "", "", " ", "\t\n"]);
        let value = match self.below(if depth == 0 { 8 } else { 12 }) {
            0..=2 => self.json_number(),
            3..=5 => self.json_string(),
            6 => self.pick(&["true", "false", "null"]).to_owned(),
            7 => self.pick(&["inf", "-nan", "NaN(0x7)", "Infinity", "+1", "0x1fp-3"]).to_owned(),
            8 | 9 => {
                let items: Vec<_> =
                    (0..self.below(5)).map(|_| self.json_value(depth - 1)).collect();
                format!("[{}]", items.join(","))
            }
            _ => {
                let items: Vec<_> = (0..self.below(6))
                    .map(|_| {
                        format!("{}{space}:{}", self.json_string(), self.json_value(depth - 1))
                    })
                    .collect();
                format!("{{{}}}", items.join(","))
            }
        };
        format!("{space}{value}{space}")
    }

    fn json_number(&mut self) -> String {
        match self.below(5) {
            0 => self.below(1000).to_string(),
            1 => format!("{:e}", f64::from_bits(self.next())),
            2 => format!("-{}.{}", self.next(), self.next()),
            3 => format!(
                "0x{:x}.{:x}p{}",
                self.next() >> self.below(64),
                self.next(),
                self.below(2200) as i64 - 1150
            ),
            _ => format!("{}E{}", self.below(100_000), self.below(700) as i64 - 350),
        }
    }

    fn json_string(&mut self) -> String {
        let mut text = "\"".to_owned();
        for _ in 0..self.below(6) {
            match self.below(6) {
                0 => text += self.pick(&["\\n", "\\\"", "\\\\", "\\/", "\\b", "\\x", "\\f", "é"]),
                1 => text += &format!("\\u{:04x}", self.next() as u16),
                2 => {
                    let (high, low) = (self.below(0x500), self.below(0x500));
                    text += &format!("\\uD{:03X}\\uD{:03x}", 0x700 + high, 0xb00 + low);
                }
                _ => text.push((b'a' + self.below(26) as u8) as char),
            }
        }
        text + "\""
    }

    /// MessagePack, often damaged.
    pub(super) fn message_pack(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.below(4) {
            self.message_pack_value(4, &mut bytes);
        }
        if self.below(3) == 0 && !bytes.is_empty() {
            let at = self.below(bytes.len());
            bytes[at] = self.next() as u8;
        }
        if self.below(8) == 0 {
            bytes.truncate(self.below(bytes.len() + 1));
        }
        if self.below(10) == 0 { self.bytes(16) } else { bytes }
    }

    fn message_pack_value(&mut self, depth: usize, out: &mut Vec<u8>) {
        let word = self.next().to_be_bytes();
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => out.push(word[0] & 0x7f),
            1 => out.push(word[0] | 0xe0),
            2 => {
                let mark = self.below(10);
                out.push(0xca + mark as u8);
                out.extend_from_slice(&word[..[4, 8, 1, 2, 4, 8, 1, 2, 4, 8][mark]]);
            }
            3 => out.push([0xc0, 0xc2, 0xc3, 0x01][self.below(4)]),
            4 | 5 => {
                let string = self.bytes(9);
                match self.below(4) {
                    0 => out.extend_from_slice(&[0xd9, string.len() as u8]),
                    1 => out.extend_from_slice(&[0xda, 0, string.len() as u8]),
                    2 => out.extend_from_slice(&[0xdb, 0, 0, 0, string.len() as u8]),
                    _ => out.push(0xa0 | string.len() as u8),
                }
                out.extend_from_slice(&string);
            }
            kind => {
                let len = self.below(5);
                let is_map = kind == 8;
                match (self.below(3), is_map) {
                    (0, false) => out.extend_from_slice(&[0xdc, 0, len as u8]),
                    (0, true) => out.extend_from_slice(&[0xde, 0, len as u8]),
                    (1, false) => out.extend_from_slice(&[0xdd, 0, 0, 0, len as u8]),
                    (1, true) => out.extend_from_slice(&[0xdf, 0, 0, 0, len as u8]),
                    (_, false) => out.push(0x90 | len as u8),
                    (_, true) => out.push(0x80 | len as u8),
                }
                for _ in 0..if is_map { len * 2 } else { len } {
                    self.message_pack_value(depth - 1, out);
                }
            }
        }
    }

    /// A format of `struct`, sometimes a bad one.
    pub(super) fn format(&mut self) -> String {
        let mut format = String::new();
        for _ in 0..self.below(7) {
            format += match self.below(40) {
                0 => "z",
                1 => "i33",
                2 => "!3",
                3 => "c99999999999",
                4 => "\\200",
                _ => self.pick(&[
                    "b", "B", "h", "H", "l", "L", "T", "i", "I", "i3", "I5", "i8", "I9", "i16",
                    "i0", "f", "d", "s", "c", "c0", "c3", "x", " ", "<", ">", "!", "!1", "!2",
                    "!4", "!16",
                ]),
            };
        }
        format
    }

    /// A Lua string of random data, as an expression.
    pub(super) fn data(&mut self) -> String {
        let bytes = self.bytes(60);
        quoted(&bytes)
    }

    /// Settings of a cjson module `c`, as calls.
    pub(super) fn settings(&mut self) -> String {
        let on_off = ["true", "false", "'on'", "'off'", "nil", "'null'", "7"];
        format!(
            "pcall(c.encode_sparse_array,{},{},{}) pcall(c.encode_max_depth,{}) \
             pcall(c.decode_max_depth,{}) pcall(c.encode_number_precision,{}) \
             pcall(c.encode_invalid_numbers,{}) pcall(c.decode_invalid_numbers,{}) ",
            self.pick(&on_off),
            // Not 0, which fills the gaps up to any index: gigabytes, on the server too.
            self.pick(&["nil", "1", "2", "4", "-1"]),
            self.pick(&["nil", "0", "3", "30"]),
            self.pick(&["1", "2", "4", "'9'", "0"]),
            self.pick(&["1", "2", "4", "nil", "1.5"]),
            self.below(16),
            self.pick(&on_off),
            self.pick(&on_off),
        )
    }
}

/// A Lua literal of a string.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let inner: String = bytes.iter().map(|byte| format!("\\{byte:03}")).collect();
    format!("'{inner}'")
}
