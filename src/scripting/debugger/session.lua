-- The debugger's side in Lua: where to stop, and the commands that look at the script. The script
-- runs with `hook` below; what talks to the person who debugs is `native`, of Rust.

local native, debug, compile, contents, globals = ...

local find, format, gsub, lower, match, sub = string.find, string.format, string.gsub, string.lower, string.match, string.sub
local concat, remove = table.concat, table.remove
local getinfo, getlocal = debug.getinfo, debug.getlocal
local next, pcall, select, tonumber, tostring, type, unpack = next, pcall, select, tonumber, tostring, type, unpack

-- As many as Redis takes, and its depth of tables that are shown.
local BREAKPOINTS_MAX, DEPTH_MAX = 64, 10
-- Lines around the current one that `list` shows, and instructions between two looks at the clock.
local CONTEXT, INSTRUCTIONS = 5, 100000

local lines = native.lines
local breakpoints = {}
local current, stops_next = 0, false
local hook

local function is_breakpoint(line)
  for _, at in next, breakpoints do
    if at == line then
      return true
    end
  end
  return false
end

local function log_line(line)
  local mark = is_breakpoint(line) and "#" or " "
  local arrow = line == current and "->" or "  "
  native.log(format("%s%s%-3d %s", arrow, mark, line, lines[line] or "<out of range source code line>"))
end

local function list(around, context)
  for line = 1, #lines do
    if line - around <= context and around - line <= context then
      log_line(line)
    end
  end
end

-- A word's number as C's atoi reads it.
local function leading_number(word)
  return tonumber(match(word, "^%s*[-+]?%d+") or 0)
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\a"] = "\\a", ["\b"] = "\\b", ["\\"] = "\\\\", ['"'] = '\\"' }

local function quoted(text)
  local escaped = gsub(text, '[^\32-\126]', function(byte)
    return ESCAPES[byte] or format("\\x%02x", byte:byte())
  end)
  return escaped
end

local function shown_string(text)
  return '"' .. quoted(gsub(text, '[\\"]', ESCAPES)) .. '"'
end

local shown

local function shown_table(value, depth)
  local as_array, as_map, expected = {}, {}, 1
  local is_array = true
  for key, item in next, contents[value] or value do
    is_array = is_array and key == expected
    local text = shown(item, depth)
    as_array[expected] = text
    as_map[expected] = "[" .. shown(key, depth) .. "]=" .. text
    expected = expected + 1
  end
  return "{" .. concat(is_array and as_array or as_map, "; ") .. "}"
end

-- A value as the debugger shows it.
function shown(value, depth)
  depth = depth or 0
  if depth == DEPTH_MAX then
    return "<max recursion level reached! Nested table?>"
  end
  local kind = type(value)
  if kind == "string" then
    return shown_string(value)
  elseif kind == "number" then
    return format("%g", value)
  elseif kind == "table" then
    return shown_table(value, depth + 1)
  elseif kind == "nil" or kind == "boolean" then
    return tostring(value)
  end
  return '"' .. kind .. "@" .. (match(tostring(value), "0x%x+") or "") .. '"'
end

-- The level of the stopped function on the stack, for the function that calls this one.
local function stopped_level()
  local level = 2
  while getinfo(level, "f").func ~= hook do
    level = level + 1
  end
  return level
end

local function print_variable(name)
  local level = stopped_level()
  while getinfo(level, "f") do
    local index = 1
    local found, value = getlocal(level, index)
    while found do
      if found == name then
        native.log_limited("<value> " .. shown(value))
        return
      end
      index = index + 1
      found, value = getlocal(level, index)
    end
    level = level + 1
  end
  if name == "ARGV" or name == "KEYS" then
    native.log_limited("<value> " .. shown(globals[name]))
  else
    native.log("No such variable.")
  end
end

local function print_all()
  local level, index, none = stopped_level(), 1, true
  local name, value = getlocal(level, index)
  while name do
    if not find(name, "(*temporary)", 1, true) then
      native.log_limited("<value> " .. name .. " = " .. shown(value))
      none = false
    end
    index = index + 1
    name, value = getlocal(level, index)
  end
  if none then
    native.log("No local variables in the current context.")
  end
end

local function trace()
  local first = stopped_level()
  local level = first
  local info = getinfo(level, "Snl")
  while info do
    if find(info.short_src, "user_script", 1, true) then
      native.log((level == first and "In " or "From ") .. (info.name or "top level") .. ":")
      log_line(info.currentline)
    end
    level = level + 1
    info = getinfo(level, "Snl")
  end
end

local function add_breakpoint(line)
  if #breakpoints == BREAKPOINTS_MAX then
    native.log("Too many breakpoints set.")
  elseif line > #lines then
    native.log("Wrong line number.")
  else
    if not is_breakpoint(line) then
      breakpoints[#breakpoints + 1] = line
    end
    list(line, 1)
  end
end

local function remove_breakpoint(line)
  for index, at in next, breakpoints do
    if at == line then
      remove(breakpoints, index)
      native.log("Breakpoint removed.")
      return
    end
  end
  native.log("No breakpoint in the specified line.")
end

local function change_breakpoint(word)
  local line = match(word, "^%-?%d+$") and tonumber(word)
  if not line then
    native.log("Invalid argument:'" .. word .. "'")
  elseif line == 0 then
    breakpoints = {}
    native.log("All breakpoints removed.")
  elseif line > 0 then
    add_breakpoint(line)
  else
    remove_breakpoint(-line)
  end
end

local function breaks(words)
  if #words > 1 then
    for index = 2, #words do
      change_breakpoint(words[index])
    end
  elseif #breakpoints == 0 then
    native.log("No breakpoints set. Use 'b <line>' to add one.")
  else
    native.log(#breakpoints .. " breakpoints set:")
    for index = 1, #breakpoints do
      log_line(breakpoints[index])
    end
  end
end

-- An error's text: redis.call raises tables.
local function text_of(raised)
  if type(raised) == "table" and raised.err then
    return raised.err
  end
  return tostring(raised)
end

local function eval(words)
  local code = concat(words, " ", 2)
  local chunk = compile("return " .. code, "@ldb_eval")
  local problem
  if not chunk then
    chunk, problem = compile(code, "@ldb_eval")
  end
  if not chunk then
    native.log("<error> " .. problem)
    return
  end
  local ok, value = pcall(chunk)
  if ok then
    native.log_limited("<retval> " .. shown(value))
  else
    native.log("<error> " .. text_of(value))
  end
end

local function redis(words)
  if #words == 1 then
    return false
  end
  -- The call shows itself and its reply while steps are shown.
  native.show_calls(true)
  pcall(globals.redis.call, select(2, unpack(words)))
  native.show_calls(false)
end

local function list_some(words)
  local line = words[2] and leading_number(words[2]) or 0
  list(line > 0 and line or current, words[3] and leading_number(words[3]) or CONTEXT)
end

local HELP = {
  "The debugger's commands; the first letter is enough:",
  "help                 This text.",
  "step, next           Run the current line, and stop at the one after it.",
  "continue             Run to the next breakpoint.",
  "list [line] [lines]  The code around a line, or around the current one (0).",
  "whole                The whole code.",
  "print [variable]     All local variables, or one; KEYS and ARGV as well.",
  "break                The breakpoints.",
  "break <line>         Set a breakpoint. -<line> removes it, 0 removes all.",
  "trace                The functions that are being called.",
  "eval <code>          Run Lua code, in a frame of its own.",
  "redis <command>      Run a command.",
  "maxlen [length]      Where values and replies are cut off; 0: nowhere.",
  "abort                End the script. In sync mode its changes stay.",
  "",
  "For the script itself:",
  "redis.debug(...)     Shows values here.",
  "redis.breakpoint()   Stops before the next line.",
}

local COMMANDS = {
  help = function()
    for index = 1, #HELP do
      native.log(HELP[index])
    end
  end,
  trace = trace,
  maxlen = function(words)
    local max = native.max_len(#words == 2 and leading_number(words[2]) or nil)
    native.log(max == 0 and "<value> replies are unlimited." or format("<value> replies are truncated at %d bytes.", max))
  end,
  ["break"] = breaks,
  eval = eval,
  redis = redis,
  print = function(words)
    if #words == 2 then
      print_variable(words[2])
    else
      print_all()
    end
  end,
  list = list_some,
  whole = function()
    list(1, 1000000)
  end,
}

-- Each may be given by its first letter.
for _, name in next, { "help", "trace", "maxlen", "break", "eval", "redis", "print", "list", "whole" } do
  COMMANDS[sub(name, 1, 1)] = COMMANDS[name]
end

-- Takes commands until one lets the script go on. False if nobody is there any more.
local function take_commands()
  while true do
    local words = native.read()
    if not words then
      native.show_calls(false)
      breakpoints = {}
      return false
    end
    local name = lower(words[1])
    if name == "s" or name == "step" or name == "n" or name == "next" then
      native.show_calls(true)
      return true
    elseif name == "c" or name == "continue" then
      return true
    elseif name == "a" or name == "abort" then
      native.fail("script aborted for user request")
    end
    local command = COMMANDS[name]
    if not command or command(words) == false then
      native.log("<error> Unknown Redis Lua debugger command or wrong number of arguments.")
    end
    native.send()
  end
end

-- Why to stop here; nil if not.
local function reason_to_stop(event)
  local at_breakpoint = stops_next or is_breakpoint(current)
  if event == "count" then
    native.look()
    if not native.shows_calls() and not at_breakpoint then
      return native.is_late() and "timeout reached, infinite loop?" or nil
    end
  end
  if at_breakpoint then
    return stops_next and "redis.breakpoint() called" or "break point"
  end
  return native.shows_calls() and "step over" or nil
end

function hook(event)
  local info = getinfo(2, "Sl")
  if not find(info.short_src, "user_script", 1, true) then
    return
  end
  current = info.currentline
  local reason = reason_to_stop(event)
  if not reason then
    return
  end
  native.show_calls(false)
  stops_next = false
  native.log("* Stopped at " .. current .. ", stop reason = " .. reason)
  log_line(current)
  native.send()
  if not take_commands() and sub(reason, 1, 7) == "timeout" then
    native.fail("timeout during Lua debugging with client closing connection")
  end
  native.restart_clock()
end

local handles = {}

function handles.breakpoint()
  stops_next = true
  return true
end

function handles.debug(...)
  local texts = {}
  for index = 1, select("#", ...) do
    texts[index] = shown((select(index, ...)))
  end
  native.log("<debug> line " .. current .. ": " .. concat(texts, ", "))
end

function handles.begin()
  debug.sethook(hook, "l", INSTRUCTIONS)
end

return handles
