//! One run: two servers, five clients on each, commands until the number is reached or the two
//! differ.

use crate::canonical::{sorted_messages, sorted_unsubscriptions};
use crate::compare::{Kind, difference, name_of};
use crate::families::{self, Next};
use crate::pair::{Answer, Mark, Pair, Replies, Unit};
use crate::report::{Collection, History, Mismatch, Tally, Who, command_line, keys_of};
use crate::support::connection::Words;
use crate::support::reply::{ReadError, Reply, escaped};
use crate::support::server::{Program, Server};
use crate::words;
use crate::world::World;
use std::time::Duration;

/// Arguments of both servers.
pub(crate) const ARGS: &[&str] = &[
    "--save",
    "",
    "--enable-debug-command",
    "yes",
    "--enable-protected-configs",
    "yes",
    "--notify-keyspace-events",
    "KEA",
];

const COMMANDS_PER_DIGEST: usize = 2_000;
/// With one command per step, messages are fetched once in this many steps.
const SINGLE_STEPS_PER_DRAIN: usize = 20;
const DUMPS_KEPT: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) commands: usize,
    pub(crate) protocol: u8,
    pub(crate) batch_max: usize,
    pub(crate) subject: Program,
    /// Further arguments of the subject: only to check that the comparison detects a difference.
    pub(crate) subject_args: Vec<&'static str>,
    /// Whether to continue after a difference and collect them.
    pub(crate) collects: bool,
}

pub(crate) struct Session {
    pub(crate) world: World,
    pub(crate) plan: Plan,
    pub(crate) reference: Server,
    pub(crate) subject: Server,
    pairs: Vec<Pair>,
    history: History,
    pub(crate) tally: Tally,
    digest_at: usize,
    steps: usize,
    mark: Mark,
    /// Whether both servers may close a connection, which is replaced then.
    may_close: bool,
}

pub(crate) type Outcome<T = ()> = Result<T, Box<Mismatch>>;

impl Session {
    pub(crate) fn start(plan: Plan) -> Self {
        Self::start_with(plan, &[])
    }

    /// Starts both servers with further arguments.
    pub(crate) fn start_with(plan: Plan, args: &[&'static str]) -> Self {
        let reference = Server::redis(&[ARGS, args].concat());
        let subject = Server::start(plan.subject, &[ARGS, args, &plan.subject_args].concat());
        Self::of(plan, reference, subject)
    }

    /// A session with two servers that run already.
    pub(crate) fn of(plan: Plan, reference: Server, subject: Server) -> Self {
        let world = World::new(plan.seed, plan.protocol, families::value_types());
        let mut session = Self {
            world,
            plan,
            reference,
            subject,
            pairs: Vec::new(),
            history: History::default(),
            tally: Tally::default(),
            digest_at: 0,
            steps: 0,
            mark: Mark::Ping,
            may_close: false,
        };
        session.connect();
        session
    }

    /// Runs the plan. Stops at the first difference, or collects all.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        self.run_with(Self::round)
    }

    /// The same with steps of another kind.
    pub(crate) fn run_with(&mut self, round: impl Fn(&mut Self) -> Outcome) -> Result<(), String> {
        let mut collection = Collection::default();
        let mut outcome = self.greet();
        loop {
            if let Err(mismatch) = outcome {
                if !self.plan.collects {
                    return Err(mismatch.report);
                }
                collection.add(*mismatch);
                self.recover(&mut collection);
                if let Err(mismatch) = self.greet() {
                    collection.add(*mismatch);
                }
            }
            if self.history.sent >= self.plan.commands {
                break;
            }
            outcome = round(self);
        }
        if let Err(mismatch) = self.drain().and_then(|()| self.compare_digests()) {
            collection.add(*mismatch);
        }
        if collection.is_empty() { Ok(()) } else { Err(collection.summary()) }
    }

    fn connect(&mut self) {
        let timeout = Duration::from_secs(if self.plan.collects { 2 } else { 10 });
        let pair = |_| Pair::new(&self.reference, &self.subject, timeout, self.mark);
        self.pairs = (0..=Who::Control as usize).map(pair).collect();
    }

    /// From now on clients are users who may lack rights, and whose connections both servers may
    /// close.
    pub(crate) fn expect_users(&mut self) {
        (self.mark, self.may_close) = (Mark::Auth, true);
        self.connect();
    }

    /// Replaces a connection that both servers have closed.
    fn reconnect(&mut self, who: Who) {
        let timeout = Duration::from_secs(if self.plan.collects { 2 } else { 10 });
        self.pairs[who as usize] = Pair::new(&self.reference, &self.subject, timeout, self.mark);
    }

    /// Sets the run's protocol, and the observer's subscription.
    pub(crate) fn greet(&mut self) -> Outcome {
        for who in [Who::A, Who::B, Who::Subscriber, Who::Observer] {
            if self.plan.protocol == 3 {
                self.step(who, &[Unit::one(words!["HELLO", "3"])])?;
            }
        }
        self.step(Who::Observer, &[Unit::any(words!["PSUBSCRIBE", "*"])])?;
        Ok(())
    }

    /// Commands sent so far.
    pub(crate) const fn sent(&self) -> usize {
        self.history.sent
    }

    pub(crate) fn last_commands(&self) -> String {
        self.history.last(40)
    }

    /// Runs one batch or one scenario.
    pub(crate) fn round(&mut self) -> Outcome {
        let who = if self.world.random.percent(85) { Who::A } else { Who::B };
        let size = self.world.random.between(1, self.plan.batch_max);
        let mut units = Vec::new();
        let mut scenario = None;
        while units.len() < size && scenario.is_none() {
            match families::next(&mut self.world) {
                Next::Unit(unit) => units.push(unit),
                Next::Scenario(run) => scenario = Some(run),
            }
        }
        self.step(who, &units)?;
        self.steps += 1;
        if self.plan.batch_max > 1 || self.steps.is_multiple_of(SINGLE_STEPS_PER_DRAIN) {
            self.drain()?;
        }
        if let Some(run) = scenario {
            run(self)?;
        }
        self.compare_digests_at_times()
    }

    /// Compares the digests if there were enough commands since the last time.
    pub(crate) fn compare_digests_at_times(&mut self) -> Outcome {
        if self.history.sent >= self.digest_at + COMMANDS_PER_DIGEST {
            self.digest_at = self.history.sent;
            self.drain()?;
            self.compare_digests()?;
        }
        Ok(())
    }

    pub(crate) fn pair(&mut self, who: Who) -> &mut Pair {
        &mut self.pairs[who as usize]
    }

    pub(crate) fn remember(&mut self, who: Who, words: &Words) {
        self.history.add(who, words);
    }

    /// Sends units to both and compares the replies; returns those of the reference.
    pub(crate) fn step(&mut self, who: Who, units: &[Unit]) -> Outcome<Vec<Reply>> {
        // A unit with an unknown number of replies forms a group, with its own PING.
        let mut groups: Vec<Unit> = Vec::new();
        for unit in units {
            match groups.last_mut() {
                Some(group)
                    if (group.replies, unit.replies) == (Replies::OneEach, Replies::OneEach) =>
                {
                    group.commands.extend(unit.commands.iter().cloned());
                }
                _ => groups.push(unit.clone()),
            }
            unit.commands.iter().for_each(|words| self.history.add(who, words));
        }
        let commands: Vec<Vec<&Words>> =
            groups.iter().map(|group| group.commands.iter().collect()).collect();
        let answers = self.pair(who).exchange(&commands);
        let mut given = Vec::new();
        let mut is_over = false;
        for (group, (left, right)) in groups.iter().zip(answers) {
            self.compare(who, group, &left, &right)?;
            is_over = left.broken.is_some();
            given.extend(left.replies);
        }
        if is_over {
            self.reconnect(who);
        }
        Ok(given)
    }

    pub(crate) fn command(&mut self, who: Who, words: Words) -> Outcome<Reply> {
        let mut replies = self.step(who, &[Unit::one(words)])?;
        Ok(replies.pop().expect("a command alone has one reply"))
    }

    /// Sends one command without a PING after it: for use in a transaction.
    pub(crate) fn command_alone(&mut self, who: Who, words: Words) -> Outcome {
        self.history.add(who, &words);
        let (left, right) = self.pair(who).call(&words);
        let outcome = self.compare(who, &Unit::one(words), &left, &right);
        if outcome.is_ok() && left.broken.is_some() {
            self.reconnect(who);
        }
        outcome
    }

    fn compare(&mut self, who: Who, group: &Unit, left: &Answer, right: &Answer) -> Outcome {
        let commands = &group.commands[..];
        match group.replies {
            Replies::Any => {
                let in_order = |replies: &[Reply]| match commands {
                    [words] if is_unsubscribe_all(words) => sorted_unsubscriptions(replies),
                    _ => sorted_messages(replies.to_vec()),
                };
                let (lefts, rights) = (in_order(&left.replies), in_order(&right.replies));
                self.compare_each(who, &mut commands.iter().cycle(), &lefts, &rights)?;
            }
            Replies::OfLast => {
                let last = &commands[commands.len() - 1..];
                self.compare_each(who, &mut last.iter(), &left.replies, &right.replies)?;
            }
            Replies::OneEach => {
                self.compare_each(who, &mut commands.iter(), &left.replies, &right.replies)?;
            }
        }
        if self.is_cut(who, commands, left, right) {
            return Ok(());
        }
        let are_over = left.broken == Some(ReadError::Closed) && left.broken == right.broken;
        if (left.broken.is_some() || right.broken.is_some()) && !(self.may_close && are_over)
            || left.replies.len() != right.replies.len()
        {
            let at = left.replies.len().min(right.replies.len()).min(commands.len() - 1);
            return Err(self.unanswered(who, &commands[at], left, right));
        }
        Ok(())
    }

    /// Whether Redis ended the client within its own transaction, and with it the reply to EXEC:
    /// limpid gives the whole reply first.
    fn is_cut(&mut self, who: Who, commands: &[Words], left: &Answer, right: &Answer) -> bool {
        const ENDS: [&str; 3] = ["acl deluser", "acl load", "client kill"];
        if !self.may_close || left.broken != Some(ReadError::Closed) {
            return false;
        }
        let at = left.replies.len();
        let is_exec = commands.get(at).is_some_and(|words| name_of(words) == "exec");
        let mut queued = self.pair(who).queued.iter().flatten();
        is_exec
            && queued.any(|words| ENDS.contains(&&*name_of(words)))
            && matches!(right.replies.get(at), Some(Reply::Array(_)))
    }

    /// Compares reply by reply, up to the shorter side.
    fn compare_each(
        &mut self,
        who: Who,
        commands: &mut dyn Iterator<Item = &Words>,
        lefts: &[Reply],
        rights: &[Reply],
    ) -> Outcome {
        for (words, (left, right)) in commands.zip(lefts.iter().zip(rights)) {
            let name = name_of(words);
            self.tally.add(&name, left);
            let pair = self.pair(who);
            let queued = match name.as_str() {
                "exec" | "discard" | "reset" => pair.queued.take().unwrap_or_default(),
                _ => Vec::new(),
            };
            match (name.as_str(), left, &mut pair.queued) {
                ("multi", Reply::Simple(_), queued) => *queued = Some(Vec::new()),
                (_, Reply::Simple(text), Some(queued)) if text == b"QUEUED" => {
                    queued.push(words.clone());
                }
                _ => {}
            }
            if let Some((name, kind)) = difference(words, &queued, left, right) {
                return Err(self.mismatch(name, kind, who, words, left, right));
            }
            if let ("dump", Reply::Bulk(dump)) = (name.as_str(), left) {
                if self.world.dumps.len() == DUMPS_KEPT {
                    self.world.dumps.remove(0);
                }
                self.world.dumps.push(dump.clone());
            }
        }
        Ok(())
    }

    /// Fetches the subscribers' messages and compares them.
    pub(crate) fn drain(&mut self) -> Outcome {
        for who in [Who::Observer, Who::Subscriber] {
            let mut answers = self.pair(who).exchange(&[Vec::new()]);
            let (left, right) = answers.pop().expect("one group was sent");
            let is_over = left.broken == Some(ReadError::Closed);
            self.compare_messages(who, left, right)?;
            if is_over && self.may_close {
                self.reconnect(who);
            }
        }
        Ok(())
    }

    pub(crate) fn compare_messages(&self, who: Who, left: Answer, right: Answer) -> Outcome {
        let (lefts, rights) = (sorted_messages(left.replies), sorted_messages(right.replies));
        if lefts == rights && left.broken == right.broken {
            return Ok(());
        }
        let equal = lefts.iter().zip(&rights).take_while(|(left, right)| left == right).count();
        let show = |replies: &[Reply], broken: &Option<_>| match (replies.get(equal), broken) {
            (Some(reply), _) => reply.to_string(),
            (None, Some(error)) => format!("{error:?}"),
            (None, None) => "no further message".to_owned(),
        };
        let (left_shown, right_shown) = (show(&lefts, &left.broken), show(&rights, &right.broken));
        let sort = format!("{} | {}", event_of(lefts.get(equal)), event_of(rights.get(equal)));
        let keys: Vec<_> =
            [lefts.get(equal), rights.get(equal)].into_iter().filter_map(key_of).collect();
        let about = self.history.about(&keys.iter().collect::<Vec<_>>());
        let report = format!(
            "{}  message {equal} of {} and {} to {who:?}\n  redis : {left_shown}\n  limpid: {right_shown}\n  \
             commands about it:\n{about}  its own commands:\n{}  the last commands:\n{}",
            self.heading(),
            lefts.len(),
            rights.len(),
            self.history.of(who, 25),
            self.history.last(25)
        );
        Err(Box::new(Mismatch { name: "message".to_owned(), kind: Kind::Message, sort, report }))
    }

    pub(crate) fn compare_digests(&mut self) -> Outcome {
        let words = words!["DEBUG", "DIGEST"];
        let mut answers = self.pair(Who::Control).exchange(&[vec![&words]]);
        let (left, right) = answers.pop().expect("one group was sent");
        if left.broken.is_none() && left.replies == right.replies {
            return Ok(());
        }
        let keys = self.differing_keys();
        let names: Vec<&Vec<u8>> = keys.iter().map(|(_, key)| key).collect();
        let shown: String = keys
            .iter()
            .map(|(database, key)| format!("    {database}: {}\n", escaped(key)))
            .collect();
        let report = format!(
            "{}  DEBUG DIGEST: {:?} and {:?}\n  keys that differ:\n{shown}  commands about them:\n{}",
            self.heading(),
            left.replies,
            right.replies,
            self.history.about(&names)
        );
        let (name, sort) = ("digest".to_owned(), String::new());
        Err(Box::new(Mismatch { name, kind: Kind::Digest, sort, report }))
    }

    /// Up to ten keys with different values or expiries.
    fn differing_keys(&self) -> Vec<(String, Vec<u8>)> {
        let mut servers = [self.reference.connect(), self.subject.connect()];
        let mut both = |words: &[&[u8]]| servers.each_mut().map(|server| server.call(words));
        let mut found = Vec::new();
        for database in 0..16 {
            let database = database.to_string();
            drop(both(&[b"SELECT", database.as_bytes()]));
            let listed = both(&[b"KEYS", b"*"]);
            let mut keys: Vec<_> = listed
                .iter()
                .filter_map(|keys| keys.as_ref().ok()?.items())
                .flatten()
                .filter_map(|key| key.text().map(<[u8]>::to_vec))
                .collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let [left_value, right_value] = both(&[b"DEBUG", b"DIGEST-VALUE", &key]);
                let expires =
                    both(&[b"TTL", &key]).map(|ttl| matches!(ttl, Ok(Reply::Integer(0..))));
                let exists = both(&[b"EXISTS", &key]);
                if left_value != right_value || expires[0] != expires[1] || exists[0] != exists[1] {
                    found.push((database.clone(), key));
                }
            }
        }
        found.truncate(10);
        found
    }

    /// Opens new connections, and makes the data equal if it differs.
    fn recover(&mut self, collection: &mut Collection) {
        self.pairs.clear();
        if !self.subject.is_running() {
            let report = format!("{}{}\n", self.heading(), self.subject.log_text());
            let name = "the server ended".to_owned();
            let sort = String::new();
            collection.add(Mismatch { name, kind: Kind::Broken, sort, report });
            self.subject = Server::start(self.plan.subject, ARGS);
        }
        self.connect();
        if self.compare_digests().is_err() {
            for server in [&self.reference, &self.subject] {
                // A failure here shows up again later.
                drop(server.call(&[b"FLUSHALL"]));
            }
        }
        for server in [&self.reference, &self.subject] {
            drop(server.call(&[b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA"]));
        }
        self.digest_at = self.history.sent;
    }

    fn heading(&self) -> String {
        let Plan { seed, protocol, batch_max, .. } = self.plan;
        let number = self.history.sent;
        format!(
            "  seed {seed}, RESP{protocol}, batches of at most {batch_max}, after command {number}\n"
        )
    }

    fn unanswered(&self, who: Who, words: &Words, left: &Answer, right: &Answer) -> Box<Mismatch> {
        let show = |answer: &Answer| match &answer.broken {
            Some(error) => format!("{} replies, then {error:?}", answer.replies.len()),
            None => format!("{} replies", answer.replies.len()),
        };
        let kind = match (&left.broken, &right.broken) {
            (None, None) => Kind::Count,
            _ => Kind::Broken,
        };
        let surplus = |answer: &Answer, other: &Answer| {
            let reply = answer.replies.get(other.replies.len());
            reply.map_or_else(String::new, |reply| format!(", the first surplus one {reply}"))
        };
        let report = format!(
            "{}  about here, {who:?}: {}\n  redis : {}{}\n  limpid: {}{}\n  the last commands:\n{}",
            self.heading(),
            command_line(words),
            show(left),
            surplus(left, right),
            show(right),
            surplus(right, left),
            self.history.last(10)
        );
        let broken = |answer: &Answer| format!("{:?}", answer.broken);
        let sort = format!("{} | {}", broken(left), broken(right));
        Box::new(Mismatch { name: name_of(words), kind, sort, report })
    }

    pub(crate) fn mismatch(
        &self,
        name: String,
        kind: Kind,
        who: Who,
        words: &Words,
        left: &Reply,
        right: &Reply,
    ) -> Box<Mismatch> {
        let report = format!(
            "{}  {who:?}: {}\n  redis : {left}\n  limpid: {right}\n  commands before:\n{}  \
             rerun: LIMPID_DIFF_SEED={} LIMPID_DIFF_COMMANDS=..\n",
            self.heading(),
            command_line(words),
            self.history.about(&keys_of(words)),
            self.plan.seed
        );
        let sort = match kind {
            Kind::Value | Kind::Missing => String::new(),
            _ => format!("{} | {}", sort_of(left), sort_of(right)),
        };
        Box::new(Mismatch { name, kind, sort, report })
    }
}

/// The reply's type, and the beginning of an error.
fn sort_of(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => {
            let text = String::from_utf8_lossy(text);
            let fixed = text.split(['\'', '`']).next().unwrap_or_default();
            format!("-{}", fixed.chars().take(60).collect::<String>())
        }
        other => other.type_name().to_owned(),
    }
}

/// The sort of a message: for a keyspace event its name.
fn event_of(message: Option<&Reply>) -> String {
    let Some(items) = message.and_then(Reply::items) else { return "nothing".to_owned() };
    let texts: Vec<_> =
        items.iter().map(|item| String::from_utf8_lossy(item.text().unwrap_or(b"?"))).collect();
    match &texts[..] {
        [.., channel, event] if channel.starts_with("__keyspace") => format!("event {event}"),
        [.., channel, _] if channel.starts_with("__keyevent") => {
            let event = channel.rsplit(':').next().unwrap_or_default();
            format!("event {event}")
        }
        [kind, ..] => kind.to_string(),
        [] => "nothing".to_owned(),
    }
}

/// The key that a keyspace event is about.
fn key_of(message: Option<&Reply>) -> Option<Vec<u8>> {
    let items = message.and_then(Reply::items)?;
    let [.., channel, event] = &items[..] else { return None };
    let channel = channel.text()?;
    match channel.windows(3).position(|window| window == b"__:") {
        Some(at) if channel.starts_with(b"__keyspace") => Some(channel[at + 3..].to_vec()),
        _ => event.text().map(<[u8]>::to_vec),
    }
}

/// Unsubscribing without a channel replies once for each subscription.
fn is_unsubscribe_all(words: &Words) -> bool {
    let name = words[0].to_ascii_lowercase();
    words.len() == 1 && matches!(&name[..], b"unsubscribe" | b"punsubscribe" | b"sunsubscribe")
}
