//! Manifests as Redis 7.0.15 reads and writes them.

use super::{Entry, Format, Manifest, ManifestError};

fn entry(name: &str, seq: i64) -> Entry {
    Entry { name: name.as_bytes().to_vec(), seq }
}

fn error(text: &str) -> ManifestError {
    Manifest::parse(text.as_bytes()).unwrap_err()
}

const BASE: &str = "file a.1.base.rdb seq 1 type b\n";

#[test]
fn reads_what_it_writes() {
    let text = "file a.2.base.rdb seq 2 type b\nfile a.1.base.rdb seq 1 type h\n\
                file a.1.incr.aof seq 1 type h\nfile a.2.incr.aof seq 2 type i\n\
                file a.5.incr.aof seq 5 type i\n";
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    assert_eq!(manifest.base, Some(entry("a.2.base.rdb", 2)));
    assert_eq!(manifest.history, [entry("a.1.base.rdb", 1), entry("a.1.incr.aof", 1)]);
    assert_eq!(manifest.incr, [entry("a.2.incr.aof", 2), entry("a.5.incr.aof", 5)]);
    assert_eq!(manifest.text(), text.as_bytes());
    let loaded: Vec<_> = manifest.loaded().map(|entry| entry.seq).collect();
    assert_eq!(loaded, [2, 2, 5]);
}

#[test]
fn comments_and_more_pairs_and_any_case_are_fine() {
    let text = "# a comment\nFILE a.1.base.aof SEQ 1 TYPE b newkey newvalue\n\
                \t  type i seq 3 file a.3.incr.aof  \r\n#end\n";
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    assert_eq!(manifest.base, Some(entry("a.1.base.aof", 1)));
    assert_eq!(manifest.incr, [entry("a.3.incr.aof", 3)]);
    assert!(Manifest::parse(b"# nothing else\n").unwrap().is_empty());
}

#[test]
fn refuses_in_words_of_redis_with_the_line() {
    let format = "Invalid AOF manifest file format";
    let cases: [(&str, &str, Option<usize>); 16] = [
        ("", "Found an empty AOF manifest", None),
        ("\n", format, Some(1)),
        (" \t \n", format, Some(1)),
        ("filx a seq 1 type b\n", format, Some(1)),
        ("file a type b\n", format, Some(1)),
        ("file a seq 1 type b newkey\n", format, Some(1)),
        ("file a seq 0 type b\n", format, Some(1)),
        ("file a seq x type b\n", format, Some(1)),
        ("file a seq 1 type \"\"\n", format, Some(1)),
        ("file \"a seq 1 type b\n", format, Some(1)),
        ("file \"a\"b seq 1 type b\n", format, Some(1)),
        ("file a seq 1 type x\n", "Unknown AOF file type", Some(1)),
        ("file a/b seq 1 type b\n", "File can't be a path, just a filename", Some(1)),
        ("file \"a\\\\b\" seq 1 type b\n", "File can't be a path, just a filename", Some(1)),
        ("file a seq -1 type i\n", "Found a non-monotonic sequence number", Some(1)),
        ("file a seq 1 type b", "The AOF manifest file contains too long line", None),
    ];
    for (text, what, line) in cases {
        let error = error(text);
        assert_eq!((error.what, error.line.map(|(number, _)| number)), (what, line), "{text:?}");
    }
    let twice = error(&format!("{BASE}{BASE}"));
    assert_eq!(twice.what, "Found duplicate base file information");
    assert_eq!(twice.line, Some((2, BASE.trim().to_owned())));
    let order = error("file b seq 2 type i\n#x\nfile a seq 2 type i\n");
    assert_eq!(order.what, "Found a non-monotonic sequence number");
    assert_eq!(order.line, Some((3, "file a seq 2 type i".to_owned())));
    assert_eq!(
        order.lines(),
        [
            "\n*** FATAL AOF MANIFEST FILE ERROR ***\n",
            "Reading the manifest file, at line 3\n",
            ">>> 'file a seq 2 type i'\n",
            "Found a non-monotonic sequence number\n",
        ]
    );
}

#[test]
fn a_line_of_more_than_1024_bytes_is_too_long() {
    let pair = " k v".repeat(248);
    let line = format!("file a seq 1 type b{pair}");
    assert_eq!(line.len(), 1011);
    let longest = format!("{line}{}\n", " ".repeat(12));
    assert_eq!(longest.len(), 1024);
    assert!(Manifest::parse(longest.as_bytes()).is_ok());
    let longer = format!("{line}{}\n", " ".repeat(13));
    assert_eq!(error(&longer).what, "The AOF manifest file contains too long line");
}

#[test]
fn names_that_need_it_stand_in_quotes() {
    for name in [" file seq \n\n.aof ", "a\"b", "a b", "a\tb\u{7}\u{8}\r", "ä\u{0}", "'a", "a'b"] {
        let mut manifest = Manifest::default();
        manifest.add_incr(name.as_bytes());
        let text = manifest.text();
        assert!(text.starts_with(b"file \""), "{name:?}");
        assert_eq!(Manifest::parse(&text).unwrap(), manifest, "{name:?}");
    }
    let mut manifest = Manifest::default();
    manifest.replace_base(b" file seq \n\n.aof ", Format::Rdb);
    assert_eq!(
        String::from_utf8(manifest.text()).unwrap(),
        "file \" file seq \\n\\n.aof .1.base.rdb\" seq 1 type b\n"
    );
    let escaped = Manifest::parse(b"file \"\\x41\\q\\xzz\" seq 1 type b\n").unwrap();
    assert_eq!(escaped.base.unwrap().name, b"Aqxzz");
    let single = Manifest::parse(b"file 'a\\' \"' seq 1 type b\n").unwrap();
    assert_eq!(single.base.unwrap().name, b"a' \"");
}

#[test]
fn a_new_base_makes_history_of_all_before_the_last_increment() {
    let mut manifest = Manifest::default();
    manifest.replace_base(b"a", Format::Aof);
    for _ in 0..3 {
        manifest.add_incr(b"a");
    }
    manifest.replace_base(b"a", Format::Rdb);
    manifest.retire_incr(1);
    assert_eq!(
        String::from_utf8(manifest.text()).unwrap(),
        "file a.2.base.rdb seq 2 type b\nfile a.1.incr.aof seq 1 type h\n\
         file a.2.incr.aof seq 2 type h\nfile a.1.base.aof seq 1 type h\n\
         file a.3.incr.aof seq 3 type i\n"
    );
    assert_eq!(manifest.add_incr(b"a").name, b"a.4.incr.aof", "numbers go on");
}
