//! Random programs: valid Lua that mixes values, tables, functions, errors and commands.

/// Names of the variables that every program has.
const VARIABLES: [&str; 6] = ["a", "b", "c", "d", "t", "u"];
/// Expressions nest no deeper.
const DEPTH_MAX: u32 = 4;

/// Writes the program of a seed.
pub(super) fn program(seed: u64) -> String {
    let mut writer =
        Writer { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, text: String::new() };
    writer.text.push_str(
        "math.randomseed(7)\nlocal function show(v) if type(v) == 'table' or type(v) == 'function' then \
         return type(v) else return tostring(v) end end\n",
    );
    let variables = VARIABLES.join(", ");
    writer.text += &format!("local {variables} = 1, 'two', nil, 4.5, {{}}, {{1, 2, x = 'y'}}\n");
    for _ in 0..2 + writer.below(8) {
        writer.statement(0);
    }
    let value = writer.expression(0);
    writer.text += &format!("return {value}\n");
    writer.text
}

struct Writer {
    state: u64,
    text: String,
}

impl Writer {
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % limit
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }

    fn statement(&mut self, depth: u32) {
        let variable = self.one_of(&VARIABLES);
        match self.below(if depth > 1 { 5 } else { 11 }) {
            0 | 1 => {
                let value = self.expression(1);
                self.text += &format!("{variable} = {value}\n");
            }
            2 => {
                let (key, value) = (self.expression(3), self.expression(2));
                self.text +=
                    &format!("if type(t) == 'table' then pcall(rawset, t, {key}, {value}) end\n");
            }
            3 => {
                let value = self.expression(2);
                self.text += &format!("u = {{[1] = {variable}, {value}, k = {variable}}}\n");
            }
            4 => {
                let call = self.command();
                self.text += &format!("{variable} = {call}\n");
            }
            5 => {
                let condition = self.expression(2);
                self.text += &format!("if {condition} then\n");
                self.statement(depth + 1);
                self.text += "else\n";
                self.statement(depth + 1);
                self.text += "end\n";
            }
            6 => {
                let last = self.below(5);
                self.text += &format!("for i = 1, {last} do\n{variable} = i\n");
                self.statement(depth + 1);
                self.text += "end\n";
            }
            7 => {
                self.text += "for k, v in pairs(type(u) == 'table' and u or {}) do\n";
                self.text += &format!("{variable} = show(k) .. show(v)\n");
                self.text += "end\n";
            }
            8 => {
                let body = self.expression(1);
                self.text += &format!(
                    "do local ok, e = pcall(function(x, y) return {body} end, {variable}, 3) \
                     {variable} = show(ok) .. ':' .. show(e) end\n"
                );
            }
            9 => {
                let body = self.expression(2);
                self.text += &format!(
                    "do local co = coroutine.create(function(x) local y = coroutine.yield({body}) return y end)\n\
                     local ok, e = coroutine.resume(co, 1) {variable} = show(e)\n\
                     ok, e = coroutine.resume(co, {variable}) u = {{show(ok), show(e), coroutine.status(co)}} end\n"
                );
            }
            _ => {
                let (value, condition) = (self.expression(2), self.expression(3));
                self.text += &format!("if {condition} == {value} then error(show({value})) end\n");
            }
        }
    }

    fn command(&mut self) -> String {
        let how = self.one_of(&["redis.call", "redis.pcall", "redis.pcall"]);
        let key = self.one_of(&["'k1'", "'k2'", "KEYS[1]"]);
        let value = self.expression(3);
        match self.below(9) {
            0 => format!("{how}('set', {key}, {value})"),
            1 => format!("{how}('get', {key})"),
            2 => format!("{how}('incr', {key})"),
            3 => format!("{how}('rpush', {key}, {value}, 'end')"),
            4 => format!("{how}('lrange', {key}, 0, -1)"),
            5 => format!("{how}('hset', {key}, 'f', {value})"),
            6 => format!("{how}('hgetall', {key})"),
            7 => format!("{how}('echo', {value})"),
            _ => format!("{how}('type', {key}, {value})"),
        }
    }

    fn expression(&mut self, depth: u32) -> String {
        if depth >= DEPTH_MAX {
            return self.leaf();
        }
        let next = depth + 1;
        match self.below(18) {
            0..=3 => self.leaf(),
            4 | 5 => {
                let operator = self.one_of(&["+", "-", "*", "/", "%", "^"]);
                format!("({} {operator} {})", self.expression(next), self.expression(next))
            }
            6 => format!("({} .. {})", self.expression(next), self.expression(next)),
            7 => {
                let operator = self.one_of(&["==", "~=", "<", ">", "<=", ">="]);
                format!("({} {operator} {})", self.expression(next), self.expression(next))
            }
            8 => {
                let operator = self.one_of(&["and", "or"]);
                format!("({} {operator} {})", self.expression(next), self.expression(next))
            }
            9 => {
                let operator = self.one_of(&["not ", "-", "#"]);
                format!("({operator}{})", self.expression(next))
            }
            10 => {
                let name = self.one_of(&["double", "map", "set", "ok", "err", "big_number", "x"]);
                format!("{{{name} = {}}}", self.expression(next))
            }
            11 | 12 => {
                let (first, second) = (self.expression(next), self.expression(next));
                format!("{{{first}, {second}, [{}] = {}}}", self.expression(next), self.leaf())
            }
            13 => {
                let variable = self.one_of(&VARIABLES);
                format!("{variable}[{}]", self.expression(next))
            }
            14 | 15 => self.builtin(next),
            16 => format!("(function(x) return x, {} end)({})", self.leaf(), self.expression(next)),
            _ => self.command(),
        }
    }

    fn builtin(&mut self, depth: u32) -> String {
        let (first, second) = (self.expression(depth), self.expression(depth));
        match self.below(20) {
            0 => format!("type({first})"),
            1 => format!("show({first})"),
            2 => format!("tonumber({first})"),
            3 => format!("math.floor({first})"),
            4 => format!("math.max({first}, {second})"),
            5 => format!("math.random({first})"),
            6 => format!("string.rep(show({first}), 2)"),
            7 => format!("string.sub({first}, {second})"),
            8 => format!("string.format('%s|%d', show({first}), {second})"),
            9 => format!("string.find({first}, {second})"),
            10 => format!("string.gsub(show({first}), 'e', show({second}))"),
            11 => format!("select('#', {first}, {second})"),
            12 => format!("table.concat({{show({first}), {second}}}, '-')"),
            13 => format!("pcall(function() return {first} end)"),
            14 => format!("rawget({{{first}, {second}}}, 1)"),
            15 => format!("(next({{{first}}}))"),
            16 => format!("redis.sha1hex({first})"),
            17 => format!("redis.error_reply({first})"),
            18 => format!("(loadstring('return ' .. show({first})) or show)(2)"),
            _ => format!("nosuch{}", self.below(3)),
        }
    }

    fn leaf(&mut self) -> String {
        match self.below(10) {
            0 => "nil".to_owned(),
            1 => "true".to_owned(),
            2 => "false".to_owned(),
            3 => self.below(100).to_string(),
            4 => {
                self.one_of(&["0.1", "1e15", "1e100", "-3", "2.5", "0/0", "1/0", "2^53"]).to_owned()
            }
            5 => {
                self.one_of(&["'abc'", "''", "'10'", "'0x1f'", "'e\\r\\ne'", "'z\\0z'"]).to_owned()
            }
            _ => self.one_of(&VARIABLES).to_owned(),
        }
    }
}
