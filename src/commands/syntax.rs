//! Parses a row's syntax, in the notation of Redis's documentation, into COMMAND DOCS arguments.
//!
//! `[a]` is optional, `a | b` is a choice, `<...>` groups, `a [a ...]` is one or more. Words in
//! capitals are literal tokens; others name a value.

use super::Command;

/// An argument of COMMAND DOCS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) name: String,
    /// Redis's type name: `string`, `key`, `oneof`, ...
    pub(super) kind: &'static str,
    pub(super) token: Option<String>,
    /// Index of the key specification that finds it.
    pub(super) key_spec: Option<usize>,
    pub(super) optional: bool,
    pub(super) multiple: bool,
    /// Its token is repeated with it.
    pub(super) multiple_token: bool,
    pub(super) arguments: Vec<Self>,
}

/// The arguments that a row's syntax describes; empty where it does not follow the notation.
pub(super) fn arguments(row: &Command) -> Vec<Argument> {
    let spaced = ["[", "]", "<", ">", "|"]
        .iter()
        .fold(row.docs.syntax.to_owned(), |text, mark| text.replace(mark, &format!(" {mark} ")));
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let key_specs = row.keys.specs().count();
    let mut parser = Parser { words: &words, command: row.name, keys: 0, key_specs };
    let arguments = parser.choice();
    match arguments {
        Some(arguments) if parser.words.is_empty() => arguments,
        _ => Vec::new(),
    }
}

struct Parser<'w> {
    words: &'w [&'w str],
    /// The row's name.
    command: &'static str,
    /// Number of keys so far.
    keys: usize,
    key_specs: usize,
}

impl<'w> Parser<'w> {
    fn next_is(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }

    /// Parses sequences between bars; several make a choice.
    fn choice(&mut self) -> Option<Vec<Argument>> {
        let mut alternatives = vec![self.sequence()?];
        while self.next_is("|") {
            alternatives.push(self.sequence()?);
        }
        if alternatives.len() == 1 {
            return alternatives.pop();
        }
        let arguments: Vec<Argument> = alternatives.into_iter().map(block).collect();
        Some(vec![Argument { kind: "oneof", ..block(arguments) }])
    }

    fn sequence(&mut self) -> Option<Vec<Argument>> {
        let mut arguments = Vec::new();
        while let Some(word) = self.words.first()
            && !["]", ">", "|"].contains(word)
        {
            let argument = self.argument()?;
            arguments.push(argument);
        }
        (!arguments.is_empty()).then_some(arguments)
    }

    fn argument(&mut self) -> Option<Argument> {
        if self.next_is("[") {
            let inner = self.choice()?;
            let closed = self.next_is("]");
            return closed.then(|| Argument { optional: true, ..block(inner) });
        }
        if self.next_is("<") {
            let inner = self.choice()?;
            let closed = self.next_is(">");
            return closed.then(|| block(inner));
        }
        let (word, rest) = self.words.split_first().filter(|(word, _)| !is_mark(word))?;
        self.words = rest;
        if is_token(word) {
            return Some(self.token(word));
        }
        let mut names = vec![*word];
        // Values directly after this one form a repeated unit with it if `[... ...]` follows.
        while let Some(next) = self.words.get(names.len() - 1)
            && !is_mark(next)
            && !is_token(next)
            && self.repeats(names.len(), &[&names[..], &[*next]].concat())
        {
            names.push(next);
        }
        let multiple = self.repeats(names.len() - 1, &names);
        if multiple {
            self.words = &self.words[names.len() - 1 + names.len() + 3..];
        }
        let values = names.iter().map(|name| self.value(name)).collect();
        Some(Argument { multiple, ..block(values) })
    }

    /// Whether `[names ...]` follows after some words.
    fn repeats(&self, skip: usize, names: &[&str]) -> bool {
        let Some(rest) = self.words.get(skip..) else { return false };
        let repeated = [&["["][..], names, &["...", "]"]].concat();
        rest.starts_with(&repeated)
    }

    /// A token with its values.
    fn token(&mut self, token: &str) -> Argument {
        let mut values = Vec::new();
        while let Some(word) = self.words.first()
            && !is_mark(word)
            && !is_token(word)
        {
            values.extend(self.argument());
        }
        let chooses = values.is_empty() && self.words.first() == Some(&"<");
        if chooses {
            values.extend(self.argument());
        }
        let repeated: Vec<&str> =
            std::iter::once(token).chain(values.iter().map(|value| value.name.as_str())).collect();
        if !values.is_empty() && self.repeats(0, &repeated) {
            self.words = &self.words[repeated.len() + 3..];
            let token = Some(token.to_owned());
            return Argument { token, multiple: true, multiple_token: true, ..block(values) };
        }
        if values.is_empty() {
            let name = token.to_ascii_lowercase();
            return Argument {
                name,
                kind: "pure-token",
                token: Some(token.to_owned()),
                ..Argument::default()
            };
        }
        Argument { token: Some(token.to_owned()), ..block(values) }
    }

    fn value(&mut self, name: &str) -> Argument {
        let kind = kind_of(self.command, name);
        let key_spec = (kind == "key").then(|| {
            self.keys += 1;
            (self.keys - 1).min(self.key_specs.saturating_sub(1))
        });
        Argument { name: name.to_owned(), kind, key_spec, ..Argument::default() }
    }
}

fn is_mark(word: &str) -> bool {
    ["[", "]", "<", ">", "|", "..."].contains(&word)
}

fn is_token(word: &str) -> bool {
    word.bytes().all(|byte| !byte.is_ascii_lowercase()) && !is_mark(word)
}

/// The type of a value by its name; some names mean different types in different commands.
fn kind_of(command: &str, name: &str) -> &'static str {
    match (command, name) {
        (
            "XAUTOCLAIM" | "XPENDING" | "XRANGE" | "XREVRANGE" | "ZRANGE",
            "start" | "end" | "stop",
        ) => "string",
        ("HINCRBYFLOAT" | "INCRBYFLOAT", "increment")
        | ("ZCOUNT" | "ZRANGEBYSCORE" | "ZREMRANGEBYSCORE" | "ZREVRANGEBYSCORE", "min" | "max")
        | (
            "BLMOVE" | "BLMPOP" | "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BZMPOP" | "BZPOPMAX"
            | "BZPOPMIN",
            "timeout",
        ) => "double",
        ("BITFIELD" | "SETBIT", "value") | ("XPENDING", "min-idle-time") => "integer",
        (_, name) => usual_kind_of(name),
    }
}

fn usual_kind_of(name: &str) -> &'static str {
    match name {
        "key" | "key1" | "key2" | "newkey" | "source" | "destination" | "destkey" | "sourcekey"
        | "src" | "dst" => "key",
        "height" | "latitude" | "longitude" | "radius" | "score" | "width" => "double",
        "pattern" => "pattern",
        name if name.starts_with("unix-time") => "unix-time",
        "bit" | "client-id" | "count" | "cursor" | "db" | "decrement" | "destination-db"
        | "end" | "frequency" | "increment" | "index" | "index1" | "index2" | "len" | "limit"
        | "milliseconds" | "num-matches" | "numkeys" | "numlocal" | "numreplicas" | "offset"
        | "port" | "protover" | "rank" | "seconds" | "start" | "stop" | "timeout" | "ttl"
        | "weight" => "integer",
        _ => "string",
    }
}

/// A single argument unchanged, several as a block.
fn block(mut arguments: Vec<Argument>) -> Argument {
    if arguments.len() == 1 {
        return arguments.remove(0);
    }
    let names: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
    let name = names.join("_");
    Argument { name, kind: "block", arguments, ..Argument::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats arguments as one line: `name:type`, a token before, flags and parts after.
    fn shown(arguments: &[Argument]) -> String {
        let one = |argument: &Argument| {
            let token = argument.token.iter().map(|token| format!("{token}="));
            let mut text: String = token.collect();
            text += &format!("{}:{}", argument.name, argument.kind);
            text += if argument.optional { "?" } else { "" };
            text += if argument.multiple { "+" } else { "" };
            text += if argument.multiple_token { "+" } else { "" };
            if !argument.arguments.is_empty() {
                text += &format!("({})", shown(&argument.arguments));
            }
            text
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn parsed(syntax: &'static str) -> String {
        let row = super::super::all().next().expect("there are commands");
        shown(&arguments(&row.docs("", "", syntax, "")))
    }

    #[test]
    fn the_notation_of_the_documentation_becomes_arguments() {
        for (syntax, arguments) in [
            ("", ""),
            ("key value", "key:key value:string"),
            ("[message]", "message:string?"),
            ("key [key ...]", "key:key+"),
            ("[channel [channel ...]]", "channel:string?+"),
            (
                "[GET pattern [GET pattern ...]] [ALPHA]",
                "GET=pattern:pattern?++ ALPHA=alpha:pure-token?",
            ),
            ("key value [key value ...]", "key_value:block+(key:key value:string)"),
            (
                "timeout [WRITE | ALL]",
                "timeout:integer write_all:oneof?(WRITE=write:pure-token ALL=all:pure-token)",
            ),
            ("<ON | OFF>", "on_off:oneof(ON=on:pure-token OFF=off:pure-token)"),
            (
                "[EX seconds | KEEPTTL]",
                "seconds_keepttl:oneof?(EX=seconds:integer KEEPTTL=keepttl:pure-token)",
            ),
            ("[LIMIT offset count]", "LIMIT=offset_count:block?(offset:integer count:integer)"),
            ("[ID client-id [client-id ...]]", "ID=client-id:integer?+"),
            ("[TYPE <A | B>]", "TYPE=a_b:oneof?(A=a:pure-token B=b:pure-token)"),
        ] {
            assert_eq!(parsed(syntax), arguments, "{syntax}");
        }
    }

    #[test]
    fn a_name_may_mean_another_type_in_another_command() {
        // Recorded from Redis 7.0.15.
        for (command, name, kind) in [
            ("XRANGE", "start", "string"),
            ("LRANGE", "start", "integer"),
            ("ZRANGE", "stop", "string"),
            ("LTRIM", "stop", "integer"),
            ("ZADD", "score", "double"),
            ("ZCOUNT", "min", "double"),
            ("ZLEXCOUNT", "min", "string"),
            ("INCRBYFLOAT", "increment", "double"),
            ("INCRBY", "increment", "integer"),
            ("BLPOP", "timeout", "double"),
            ("WAIT", "timeout", "integer"),
            ("SETBIT", "value", "integer"),
            ("SET", "value", "string"),
            ("LCS", "key2", "key"),
            ("ZRANGESTORE", "dst", "key"),
        ] {
            assert_eq!(kind_of(command, name), kind, "{command} {name}");
        }
    }

    #[test]
    fn what_does_not_follow_the_notation_gives_no_arguments() {
        for syntax in ["key [value", "subcommand [argument ...]", "a ]", "a | ", "< >"] {
            assert_eq!(parsed(syntax), "", "{syntax}");
        }
    }
}
