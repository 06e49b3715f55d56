//! The first line of a script or library: the engine, and what it declares of itself.

use crate::text::split_words;

/// What a script or function may do, as it declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScriptFlags(u8);

impl ScriptFlags {
    pub(crate) const NO_WRITES: Self = Self(1);
    pub(crate) const ALLOW_OOM: Self = Self(1 << 1);
    pub(crate) const ALLOW_STALE: Self = Self(1 << 2);
    pub(crate) const NO_CLUSTER: Self = Self(1 << 3);
    pub(crate) const ALLOW_CROSS_SLOT_KEYS: Self = Self(1 << 4);
    /// A script without a first line of its kind: it is checked command by command.
    pub(crate) const COMPAT: Self = Self(1 << 5);

    const NAMED: [(&'static str, Self); 5] = [
        ("no-writes", Self::NO_WRITES),
        ("allow-oom", Self::ALLOW_OOM),
        ("allow-stale", Self::ALLOW_STALE),
        ("no-cluster", Self::NO_CLUSTER),
        ("allow-cross-slot-keys", Self::ALLOW_CROSS_SLOT_KEYS),
    ];

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the flags, in Redis's order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().filter(move |(_, flag)| self.contains(*flag)).map(|(name, _)| name)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// The flag of a name, which a script writes in lower case.
    fn named(name: &[u8]) -> Option<Self> {
        Self::NAMED.into_iter().find(|(known, _)| known.as_bytes() == name).map(|(_, flag)| flag)
    }

    /// The flag of a name, which a function writes in either case.
    pub(super) fn named_in_either_case(name: &[u8]) -> Option<Self> {
        Self::named(&name.to_ascii_lowercase())
    }
}

/// Reads the first line of a script. Gives its flags and its length without the line break, 0
/// without such a line; or the text of an error, without its code.
pub(crate) fn script_flags(body: &[u8]) -> Result<(ScriptFlags, usize), Vec<u8>> {
    if !body.starts_with(b"#!") {
        return Ok((ScriptFlags::COMPAT, 0));
    }
    let end = body.iter().position(|&byte| byte == b'\n');
    let end = end.ok_or_else(|| b"Invalid script shebang".to_vec())?;
    let parts = split_words(&body[..end]).ok().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| b"Invalid engine in script shebang".to_vec())?;
    if parts[0] != b"#!lua" {
        return Err([b"Unexpected engine in script shebang: ", &parts[0][..]].concat());
    }
    let mut flags = ScriptFlags::default();
    for part in &parts[1..] {
        let Some(names) = part.strip_prefix(b"flags=") else {
            return Err([b"Unknown lua shebang option: ", &part[..]].concat());
        };
        // Redis splits nothing into no parts, and everything else at each comma.
        for name in names.split(|&byte| byte == b',').filter(|_| !names.is_empty()) {
            let flag = ScriptFlags::named(name);
            flags.add(flag.ok_or_else(|| [b"Unexpected flag in script shebang: ", name].concat())?);
        }
    }
    Ok((flags, end))
}

/// The first line of a library.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LibraryLine {
    pub(super) engine: Vec<u8>,
    pub(super) name: Vec<u8>,
    /// Bytes of the line without its line break.
    pub(super) len: usize,
}

/// Reads the first line of a library; or gives the text of an error, without its code.
pub(super) fn library_line(code: &[u8]) -> Result<LibraryLine, Vec<u8>> {
    let invalid = || b"Invalid library metadata".to_vec();
    if !code.starts_with(b"#!") {
        return Err(b"Missing library metadata".to_vec());
    }
    let len = code.iter().position(|&byte| byte == b'\n').ok_or_else(invalid)?;
    let parts = split_words(&code[..len]).ok().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(invalid)?;
    let mut name = None;
    for part in &parts[1..] {
        match part.split_at_checked(5) {
            Some((key, value)) if key.eq_ignore_ascii_case(b"name=") => {
                if name.replace(value.to_vec()).is_some() {
                    return Err(
                        b"Invalid metadata value, name argument was given multiple times".to_vec()
                    );
                }
            }
            _ => return Err([b"Invalid metadata value given: ", &part[..]].concat()),
        }
    }
    let name = name.ok_or_else(|| b"Library name was not given".to_vec())?;
    let engine = parts[0].get(2..).unwrap_or_default().to_vec();
    Ok(LibraryLine { engine, name, len })
}

/// Whether a library or function may have this name.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}
