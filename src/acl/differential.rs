//! Comparison with a real server 7.0.15: rules from a seed, and the replies to all that shows them.
//!
//! The ignored test takes a seed and a number of steps from `ACL_SEED` and `ACL_STEPS`.

mod draw;
mod real;
mod startup;

use draw::Draw;
use real::{Connection, Real, Reply, Rows};

use super::{
    Access, Basis, Categories, ChannelKind, ChannelPlaces, Commands, Context, Denial, Happening,
    Log, PubsubDefault, Reason, Request, SelectorFields, User, Users, load, no_such_command,
    no_such_user, save,
};

const NAMES: &[&str] = &["alice", "bob", "default", "carol", "al"];

/// Both servers' state, and how to ask the real one.
struct Pair {
    real: Real,
    boss: Connection,
    rows: Rows,
    commands: Commands,
    channels: PubsubDefault,
    users: Users,
    /// The setting `requirepass`: setting it to what it is does nothing.
    password: String,
}

/// A command line with its keys as the real server finds them.
struct Line<'a> {
    id: usize,
    exempt: bool,
    args: &'a [Vec<u8>],
    keys: Vec<(usize, Access)>,
    channels: Option<ChannelPlaces>,
}

impl Request for Line<'_> {
    fn command(&self) -> usize {
        self.id
    }

    fn is_exempt(&self) -> bool {
        self.exempt
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        self.args.get(index).map(Vec::as_slice)
    }

    fn keys(&self, each: &mut dyn FnMut(usize, Access)) {
        self.keys.iter().for_each(|(index, access)| each(*index, *access));
    }

    fn channels(&self, each: &mut dyn FnMut(usize, ChannelKind)) {
        if let Some(places) = self.channels {
            places.indices(self.args.len()).for_each(|index| each(index, places.kind));
        }
    }
}

fn slices(words: &[Vec<u8>]) -> Vec<&[u8]> {
    words.iter().map(Vec::as_slice).collect()
}

/// The order in which a real server names single commands depends on a hash with a random seed:
/// sorts them in each run of command rules, and keeps categories in order before them.
fn sorted(rules: &[u8]) -> String {
    let text = String::from_utf8_lossy(rules).into_owned();
    let (mut sorted, mut singles): (Vec<&str>, Option<Vec<&str>>) = (Vec::new(), None);
    for word in text.split(' ') {
        let (word, ends) = word.strip_suffix(')').map_or((word, false), |word| (word, true));
        match &mut singles {
            _ if word.contains('@') => {
                singles.get_or_insert_default();
                sorted.push(word);
            }
            Some(singles) => singles.push(word),
            None => sorted.push(word),
        }
        if ends {
            finish(&mut sorted, singles.take());
            sorted.push(")");
        }
    }
    finish(&mut sorted, singles);
    sorted.join(" ")
}

fn finish<'a>(sorted: &mut Vec<&'a str>, singles: Option<Vec<&'a str>>) {
    let mut singles = singles.unwrap_or_default();
    singles.sort_unstable();
    sorted.extend(singles);
}

impl Pair {
    fn start() -> Self {
        let real = Real::start();
        let mut first = real.connect();
        assert_eq!(first.words("ACL SETUSER boss on >secret ~* &* +@all"), Reply::ok());
        let mut boss = real.connect_boss();
        let rows = Rows::fetch(&mut boss);
        let commands = Commands::new(&rows);
        let channels = PubsubDefault::ResetChannels;
        let basis = Basis { commands: &commands, channels };
        let users = Users::new(&basis);
        let rules: [&[u8]; 5] = [b"on", b">secret", b"~*", b"&*", b"+@all"];
        let users = users.with_rules(&basis, b"boss", &rules).unwrap().users;
        Self { real, boss, rows, commands, channels, users, password: String::new() }
    }

    fn basis(&self) -> Basis<'_> {
        Basis { commands: &self.commands, channels: self.channels }
    }

    fn set_user(&mut self, name: &str, rules: &[Vec<u8>]) {
        let words = [b"ACL".to_vec(), b"SETUSER".to_vec(), name.into()];
        let reply = self.boss.call(&[&words, rules].concat());
        let expected = match self.users.with_rules(&self.basis(), name.as_bytes(), &slices(rules)) {
            Ok(changed) => {
                self.users = changed.users;
                Reply::ok()
            }
            Err(error) => Reply::Error(error.text()),
        };
        assert_eq!(reply, expected, "{name} {rules:?}");
    }

    fn compare_user(&mut self, name: &str) {
        let reply = self.boss.call(&["ACL", "GETUSER", name]);
        let Some(user) = self.users.get(name.as_bytes()) else {
            return assert_eq!(reply, Reply::Nil, "{name}");
        };
        let fields = user.fields(&self.commands);
        let texts = |name| reply.field(name).array().iter().map(Reply::text).collect::<Vec<_>>();
        assert_eq!(texts("flags"), fields.flags, "{name}");
        assert_eq!(texts("passwords"), fields.passwords, "{name}");
        compare_selector(&reply, &fields.root);
        let selectors = reply.field("selectors").array();
        assert_eq!(selectors.len(), fields.selectors.len(), "{name}");
        for (reply, fields) in selectors.iter().zip(&fields.selectors) {
            compare_selector(reply, fields);
        }
    }

    fn compare_list(&mut self) {
        let reply = self.boss.words("ACL LIST");
        let real: Vec<String> = reply.array().iter().map(|line| sorted(line.bytes())).collect();
        let ours = self.users.lines(&self.commands);
        assert_eq!(real, ours.iter().map(|line| sorted(line)).collect::<Vec<_>>());
        let reply = self.boss.words("ACL USERS");
        let names: Vec<&[u8]> = reply.array().iter().map(Reply::bytes).collect();
        assert_eq!(names, self.users.iter().map(|user| user.name()).collect::<Vec<_>>());
    }

    /// A command line as the check sees it, or the error that precedes the check.
    fn request<'a>(&mut self, args: &'a [Vec<u8>]) -> Result<Line<'a>, Vec<u8>> {
        let missing = || no_such_command(&args[0]);
        let mut id = self.commands.find(&args[0]).ok_or_else(missing)?;
        let has_subcommands = self.commands.is_container(id);
        if has_subcommands && let Some(word) = args.get(1) {
            let full = [args[0].as_slice(), b"|", word].concat();
            id = self.commands.find(&full).ok_or_else(missing)?;
        }
        let row = &self.rows.0[id];
        let count = i64::try_from(args.len()).unwrap();
        if (row.arity > 0 && row.arity != count) || count < -row.arity {
            let name = &row.name;
            return Err(format!("ERR wrong number of arguments for '{name}' command").into());
        }
        let exempt = row.no_auth;
        let channels = ChannelPlaces::of(&row.name);
        let words = [b"COMMAND".to_vec(), b"GETKEYSANDFLAGS".to_vec()];
        let keys = match self.boss.call(&[&words, args].concat()) {
            Reply::Array(keys) => keys,
            _ => Vec::new(),
        };
        let mut taken = vec![false; args.len()];
        taken[0] = true;
        let mut place = |key: &Reply| {
            let key = key.array();
            let same = |index: &usize| !taken[*index] && args[*index] == key[0].bytes();
            let index = (0..args.len()).find(same).expect("keys are arguments");
            taken[index] = true;
            let flags = key[1].array().iter().map(Reply::text);
            (index, flags.fold(Access::NONE, |access, flag| access.and(access_of(&flag))))
        };
        let keys = keys.iter().map(&mut place).collect();
        Ok(Line { id, exempt, args, keys, channels })
    }

    fn dry_run(&mut self, name: &str, args: &[Vec<u8>]) -> &'static str {
        let words = [b"ACL".to_vec(), b"DRYRUN".to_vec(), name.into()];
        let reply = self.boss.call(&[&words, args].concat());
        let Some(user) = self.users.get(name.as_bytes()).cloned() else {
            assert_eq!(reply, Reply::Error(no_such_user(name.as_bytes())));
            return "no user";
        };
        let (verdict, expected) = match self.request(args) {
            Err(error) => ("error", Reply::Error(error)),
            Ok(line) => match user.check(&line) {
                Ok(()) => ("allowed", Reply::ok()),
                Err(denial) => {
                    let text = denial.dry_run(self.commands.name(line.id), &line);
                    (Reason::from(denial).name(), Reply::Bulk(text))
                }
            },
        };
        let line = String::from_utf8_lossy(&user.line(&self.commands)).into_owned();
        assert_eq!(reply, expected, "{line}: {:?}", slices(args));
        verdict
    }

    fn delete(&mut self, names: &[&str]) {
        let reply = self.boss.call(&[&["ACL", "DELUSER"], names].concat());
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        let expected = match self.users.without(&names) {
            Ok((users, deleted)) => {
                self.users = users;
                Reply::Integer(i64::try_from(deleted).unwrap())
            }
            Err(error) => Reply::Error(error.into()),
        };
        assert_eq!(reply, expected);
    }

    fn authenticate(&self, name: &str, password: &str) -> (Connection, bool) {
        let mut connection = self.real.connect();
        let reply = connection.call(&["AUTH", name, password]);
        let granted = self.users.authenticate(name.as_bytes(), password.as_bytes()).is_some();
        let expected =
            if granted { Reply::ok() } else { Reply::Error(super::WRONG_PASSWORD.into()) };
        assert_eq!(reply, expected, "{name} {password}");
        (connection, granted)
    }

    fn set_password(&mut self, password: &str) {
        assert_eq!(self.boss.call(&["CONFIG", "SET", "requirepass", password]), Reply::ok());
        if self.password != password {
            let bytes = Some(password.as_bytes()).filter(|password| !password.is_empty());
            self.users = self.users.with_password(bytes);
            password.clone_into(&mut self.password);
        }
        let mut connection = self.real.connect();
        let refused =
            connection.words("PING") == Reply::Error(b"NOAUTH Authentication required.".to_vec());
        assert_eq!(refused, self.users.needs_authentication());
    }

    fn set_channels_default(&mut self, channels: PubsubDefault) {
        self.channels = channels;
        let word = match channels {
            PubsubDefault::AllChannels => "allchannels",
            PubsubDefault::ResetChannels => "resetchannels",
        };
        assert_eq!(self.boss.call(&["CONFIG", "SET", "acl-pubsub-default", word]), Reply::ok());
    }

    fn save(&mut self) {
        assert_eq!(self.boss.words("ACL SAVE"), Reply::ok());
        let file = std::fs::read(self.real.acl_file()).unwrap();
        let lines = |text: &[u8]| text.split(|&byte| byte == b'\n').map(sorted).collect::<Vec<_>>();
        assert_eq!(lines(&file), lines(&save(&self.users, &self.commands)));
    }

    fn load(&mut self, text: &[u8]) -> bool {
        let path = self.real.acl_file();
        let loaded = load(text, path.to_str().unwrap(), &self.users, &self.basis());
        // On a selector without an end a real server crashes.
        if let Err(errors) = &loaded
            && String::from_utf8_lossy(errors).contains("Unmatched parenthesis")
        {
            return false;
        }
        std::fs::write(&path, text).unwrap();
        let reply = self.boss.words("ACL LOAD");
        match loaded {
            Ok(users) => {
                assert_eq!(reply, Reply::ok());
                // Every connection but the default user's ends.
                assert_eq!(self.boss.words("PING"), Reply::Closed);
                self.users = users;
                self.boss = self.real.connect_boss();
                true
            }
            Err(errors) => {
                let expected = [b"ERR ", errors.as_slice()].concat();
                assert_eq!(reply.text(), String::from_utf8_lossy(&expected));
                false
            }
        }
    }
}

fn compare_selector(reply: &Reply, fields: &SelectorFields) {
    assert_eq!(sorted(reply.field("commands").bytes()), sorted(&fields.commands));
    assert_eq!(reply.field("keys").bytes(), fields.keys);
    assert_eq!(reply.field("channels").bytes(), fields.channels);
}

fn access_of(flag: &str) -> Access {
    match flag {
        "access" => Access::READ,
        "update" | "insert" | "delete" => Access::WRITE,
        _ => Access::NONE,
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn drawn_file(draw: &mut Draw, rows: &Rows) -> Vec<u8> {
    let mut text = b"user boss on >secret ~* &* +@all\n".to_vec();
    for _ in 0..draw.below(4) {
        let rules = draw.rules(rows);
        // A line break would end the line.
        if rules.iter().any(|rule| rule.contains(&b'\n')) {
            continue;
        }
        text.extend_from_slice(
            draw.of(&["user ", "user ", "user ", "user ", "user  ", "\tuser "]).as_bytes(),
        );
        text.extend_from_slice(draw.of(NAMES).as_bytes());
        for rule in rules {
            text.extend_from_slice(draw.of(&[" ", " ", " ", "  ", " \t"]).as_bytes());
            text.extend_from_slice(&rule);
        }
        text.extend_from_slice(draw.of(&["\n", "\n", " \r\n", "\n\n"]).as_bytes());
    }
    if draw.one_in(10) {
        text.extend_from_slice(draw.of(&["# comment", "user", "user a\tb on", "x"]).as_bytes());
    }
    text
}

/// Runs harmless commands as users with some credentials, and compares ACL LOG.
fn compare_log(pair: &mut Pair, draw: &mut Draw) {
    assert_eq!(pair.boss.words("ACL LOG RESET"), Reply::ok());
    let entries_max = [0, 3, 128][draw.below(3)];
    let setting = ["CONFIG", "SET", "acllog-max-len", &entries_max.to_string()].map(str::to_owned);
    assert_eq!(pair.boss.call(&setting), Reply::ok());
    let mut log = Log::default();
    for _ in 0..6 {
        let (name, password) = (draw.of(NAMES), draw.of(&["p0", "p1", "p2"]));
        let (mut connection, granted) = pair.authenticate(name, password);
        let happening = |reason, context, object: Vec<u8>| Happening {
            reason,
            context,
            object,
            username: name.into(),
            client_info: Vec::new(),
        };
        if !granted {
            log.add(happening(Reason::Auth, Context::Toplevel, b"AUTH".to_vec()), 0, entries_max);
            continue;
        }
        let user = pair.users.get(name.as_bytes()).unwrap().clone();
        let mut context = Context::Toplevel;
        for _ in 0..4 {
            let args = if draw.one_in(6) { vec![b"MULTI".to_vec()] } else { draw.harmless_line() };
            let Ok(line) = pair.request(&args) else { continue };
            let reply = connection.call(&args);
            let command = pair.commands.name(line.id);
            match user.check(&line) {
                Err(denial) => {
                    assert_eq!(reply, Reply::Error(denial.error(command).into()));
                    let object = denial.object(command, &line);
                    log.add(happening(denial.into(), context, object), 0, entries_max);
                }
                Ok(()) => {
                    let denied =
                        matches!(&reply, Reply::Error(text) if text.starts_with(b"NOPERM"));
                    assert!(!denied, "{reply:?} {:?}", slices(&args));
                    if command == "multi" {
                        context = Context::Multi;
                    }
                }
            }
        }
    }
    let reply = pair.boss.words("ACL LOG 100");
    let field = |entry: &Reply, name| entry.field(name).text();
    let real = reply.array().iter().map(|entry| {
        let texts = ["reason", "context", "object", "username"].map(|name| field(entry, name));
        (entry.field("count").integer(), texts)
    });
    let ours = log.newest(100).map(|entry| {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let last = &entry.last;
        let words = [last.reason.name(), last.context.name()].map(str::to_owned);
        let [reason, context] = words;
        let texts = [reason, context, lossy(&last.object), lossy(&last.username)];
        (i64::try_from(entry.count).unwrap(), texts)
    });
    assert_eq!(real.collect::<Vec<_>>(), ours.collect::<Vec<_>>());
}

#[test]
#[ignore = "takes minutes"]
fn everything_that_shows_rules_is_as_in_redis() {
    let (seed, steps) = (setting("ACL_SEED", 1), setting("ACL_STEPS", 3_000));
    let mut draw = Draw(seed);
    let mut pair = Pair::start();
    let mut verdicts = std::collections::BTreeMap::new();
    let (mut loaded, mut refused) = (0, 0);
    for step in 0..steps {
        if step % 5_000 == 0 {
            println!("step {step}: {verdicts:?}, files loaded {loaded}, refused {refused}");
        }
        let name = draw.of(NAMES);
        let rules = draw.rules(&pair.rows);
        pair.set_user(name, &rules);
        pair.compare_user(name);
        for _ in 0..3 {
            let name = if draw.one_in(20) { "nobody" } else { draw.of(NAMES) };
            let args = draw.line(&pair.rows);
            *verdicts.entry(pair.dry_run(name, &args)).or_insert(0) += 1;
        }
        match draw.below(200) {
            0..=9 => pair.compare_list(),
            10 => pair.delete(&[draw.of(NAMES), draw.of(&["bob", "nobody"])]),
            11..=17 => {
                pair.authenticate(draw.of(NAMES), draw.of(&["p0", "p1", "foo", "x"]));
            }
            18 => pair.set_password(draw.of(&["p1", "", "other"])),
            19 => pair.set_channels_default(match draw.below(4) {
                0 => PubsubDefault::AllChannels,
                _ => PubsubDefault::ResetChannels,
            }),
            20 => pair.save(),
            21..=23 => {
                let text = drawn_file(&mut draw, &pair.rows);
                if pair.load(&text) {
                    loaded += 1
                } else {
                    refused += 1
                }
                pair.compare_list();
            }
            24..=26 => compare_log(&mut pair, &mut draw),
            _ => {}
        }
    }
    println!(
        "{steps} steps from seed {seed}: {verdicts:?}, files loaded {loaded}, refused {refused}"
    );
}

#[test]
#[ignore = "needs a real server"]
fn categories_are_as_in_redis() {
    let mut pair = Pair::start();
    let names: Vec<String> = pair.boss.words("ACL CAT").array().iter().map(Reply::text).collect();
    assert_eq!(names, Categories::all());
    for category in names {
        let reply = pair.boss.call(&["ACL", "CAT", &category]);
        let mut real: Vec<String> = reply.array().iter().map(Reply::text).collect();
        let mut ours = pair.commands.in_category(category.as_bytes()).unwrap();
        real.sort();
        ours.sort_unstable();
        assert_eq!(real, ours, "{category}");
    }
    for unknown in ["nope", "", "a\nb\0c", &"x".repeat(200)] {
        let reply = pair.boss.call(&["ACL", "CAT", unknown]);
        let error = pair.commands.in_category(unknown.as_bytes()).unwrap_err();
        assert_eq!(reply, Reply::Error(error));
    }
}

#[test]
#[ignore = "needs a real server"]
fn subscriptions_end_as_in_redis() {
    let mut pair = Pair::start();
    let mut draw = Draw(setting("ACL_SEED", 1));
    let (mut ended, mut stayed) = (0, 0);
    for _ in 0..300 {
        let rules = ["reset", "on", "nopass", "+@all", "&*"].map(|rule| rule.as_bytes().to_vec());
        pair.set_user("alice", &rules);
        let mut before: Vec<String> = (0..1 + draw.below(3)).map(|_| draw.channel_rule()).collect();
        if draw.one_in(2) {
            before.insert(0, "resetchannels".into());
        }
        // Subscribes while it may, whatever the rules allow later.
        let mut subscribers: Vec<(Connection, Vec<(&str, ChannelKind)>)> = Vec::new();
        for _ in 0..4 {
            let (mut connection, _) = pair.authenticate("alice", "x");
            let mut subscriptions = Vec::new();
            for _ in 0..1 + draw.below(2) {
                let channel = draw.channel();
                let (command, kind) = match draw.below(3) {
                    0 => ("PSUBSCRIBE", ChannelKind::Pattern),
                    1 => ("SSUBSCRIBE", ChannelKind::Plain),
                    _ => ("SUBSCRIBE", ChannelKind::Plain),
                };
                assert_eq!(connection.call(&[command, channel]).array().len(), 3);
                subscriptions.push((channel, kind));
            }
            subscribers.push((connection, subscriptions));
        }
        for rule in before {
            let old = pair.users.clone();
            pair.set_user("alice", &[rule.clone().into_bytes()]);
            let user = |users: &Users| User::clone(users.get(b"alice").unwrap());
            let revoked = super::Revoked::between(&user(&old), &user(&pair.users));
            subscribers.retain_mut(|(connection, subscriptions)| {
                let ends = revoked.as_ref().is_some_and(|revoked| {
                    subscriptions
                        .iter()
                        .any(|(channel, kind)| revoked.ends(channel.as_bytes(), *kind))
                });
                let closed = connection.words("PING") == Reply::Closed;
                assert_eq!(closed, ends, "{rule} {subscriptions:?} {revoked:?}");
                *(if ends { &mut ended } else { &mut stayed }) += 1;
                !ends
            });
        }
    }
    println!("{ended} ended, {stayed} stayed");
    assert!(ended > 50 && stayed > 50);
}

#[test]
#[ignore = "needs a real server"]
fn denials_at_exec_and_in_scripts_are_as_in_redis() {
    let mut pair = Pair::start();
    for (line, denying, denial) in [
        ("GET k", "-get", Denial::Command),
        ("GET k", "resetkeys", Denial::Key(1)),
        ("PUBLISH c m", "resetchannels", Denial::Channel(1)),
    ] {
        let rules =
            ["reset", "on", "nopass", "+@all", "~*", "&*"].map(|rule| rule.as_bytes().to_vec());
        pair.set_user("alice", &rules);
        let (mut connection, _) = pair.authenticate("alice", "x");
        assert_eq!(connection.words("MULTI"), Reply::ok());
        assert_eq!(connection.words(line).bytes(), b"QUEUED");
        pair.set_user("alice", &[denying.into()]);
        let reply = connection.words("EXEC");
        assert_eq!(reply.array(), [Reply::Error(denial.error_at_exec().into())]);
        let args: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
        let script = format!("return redis.pcall({}).err", args.join(","));
        let reply = connection.call(&["EVAL", &script, "0"]);
        assert_eq!(reply, Reply::Bulk(denial.error_in_script().into()));
    }
}
