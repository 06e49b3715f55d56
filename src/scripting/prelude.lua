-- What Lua 5.1 lacks and Redis's scripts expect: sealed (read-only) tables, a pcall that answers
-- with an error's text, compilation of source text only. Lua code may use none of its names after
-- this chunk has run but through the globals, so everything is a local here.
--
-- A sealed table is an empty table that stands for another: reads go through __index, writes
-- raise. Whatever looks past __index (next, pairs, rawget, rawset, setmetatable, table.insert) is
-- replaced by a function that knows the sealed tables.

local native, G = ...

local type, select, error, next, tonumber, tostring = type, select, error, next, tonumber, tostring
local rawget, raw_pcall, raw_xpcall, raw_unpack = rawget, pcall, xpcall, unpack
local raw_getmetatable, setmetatable, raw_loadstring = getmetatable, setmetatable, loadstring
local raw_insert, raw_foreach, concat = table.insert, table.foreach, table.concat
local raw_resume, sub, match, floor = coroutine.resume, string.sub, string.match, math.floor
local reveal = native.reveal

-- Slots that a C function may use, and the longest source text whose counters cannot overflow.
local STACK_MAX, SOURCE_MAX = 8000, 2 ^ 30

local contents, stand_in, shown = {}, {}, {}
local string_metatable

local function readonly()
  error("Attempt to modify a readonly table", 2)
end

local function seal(t)
  if stand_in[t] then
    return stand_in[t]
  end
  local sealed = setmetatable({}, { __index = t, __newindex = readonly })
  contents[sealed], stand_in[t] = t, sealed
  for key, value in next, t do
    if type(value) == "table" and not contents[value] then
      t[key] = seal(value)
    end
  end
  local metatable = raw_getmetatable(t)
  if metatable then
    shown[sealed] = seal({ __index = metatable.__index })
  end
  return sealed
end

local function nonexistent(...)
  if select("#", ...) ~= 2 then
    error("Wrong number of arguments to luaProtectedTableError", 2)
  end
  local _, name = ...
  if type(name) ~= "string" and type(name) ~= "number" then
    error("Second argument to luaProtectedTableError must be a string or number", 2)
  end
  error("Script attempted to access nonexistent global variable '" .. name .. "'", 2)
end

-- Raises an argument error in the name of the function that calls this one.
local function bad_argument(position, name, expected, ...)
  local got = select("#", ...) == 0 and "no value" or type((...))
  local text = "bad argument #" .. position .. " to '" .. name .. "' (" .. expected .. " expected, got " .. got .. ")"
  error(text, 3)
end

-- Lua's conversion of a number to C's int.
local function to_int(number)
  number = number < 0 and -floor(-number) or floor(number)
  if number >= -2 ^ 31 and number < 2 ^ 31 then
    return number
  end
  number = number % 2 ^ 32
  return number < 2 ^ 31 and number or number - 2 ^ 32
end

local function compile(source, name)
  if #source > SOURCE_MAX then
    return nil, "not enough memory"
  end
  -- A precompiled chunk could do anything to the interpreter; behind a space it is bad text.
  if sub(source, 1, 1) == "\27" then
    source = " " .. source
  end
  -- The parser holds no reference to the name, which a collection meanwhile would free. It takes it
  -- up to a zero byte: as long as this very string is in use here, it stays.
  local kept = match(name, "^[^%z]*")
  local code, message = raw_loadstring(source, kept)
  return code, message
end

local function answer(ok, ...)
  if ok then
    return true, ...
  end
  local raised = ...
  if type(raised) == "userdata" then
    raised = reveal(raised)
  end
  if type(raised) == "table" then
    local text = raised.err
    if type(text) == "string" or type(text) == "number" then
      return false, text
    end
  end
  return false, raised
end

-- The results of a protected call, with what Redis would have raised.
local function settled(ok, ...)
  if not ok and type((...)) == "userdata" then
    return false, reveal((...))
  end
  return ok, ...
end

function G.pcall(...)
  if select("#", ...) == 0 then
    return false, "attempt to call a boolean value"
  end
  return answer(raw_pcall(...))
end

function G.xpcall(...)
  local f, handler = ...
  if select("#", ...) < 2 then
    error("bad argument #2 to 'xpcall' (value expected)", 2)
  end
  if type(handler) ~= "function" then
    return raw_xpcall(f, handler)
  end
  return settled(raw_xpcall(f, function(raised)
    if type(raised) == "userdata" then
      -- No hook runs within a handler: the script's own must not hold up an end.
      if native.ending() then
        return raised
      end
      raised = reveal(raised)
    end
    return handler(raised)
  end))
end

function G.coroutine.resume(co, ...)
  if type(co) ~= "thread" then
    error("bad argument #1 to 'resume' (coroutine expected)", 2)
  end
  return settled(raw_resume(co, ...))
end

function G.getmetatable(...)
  local object = ...
  if object == nil and select("#", ...) == 0 then
    error("bad argument #1 to 'getmetatable' (value expected)", 2)
  end
  if type(object) == "string" then
    return string_metatable
  end
  if contents[object] then
    return shown[object]
  end
  return raw_getmetatable(object)
end

function G.rawget(...)
  local t, key = ...
  if type(t) ~= "table" then
    bad_argument(1, "rawget", "table", ...)
  end
  return rawget(contents[t] or t, key)
end

local function known_next(...)
  local t, key = ...
  if type(t) ~= "table" then
    bad_argument(1, "next", "table", ...)
  end
  return next(contents[t] or t, key)
end
G.next = known_next

function G.pairs(...)
  local t = ...
  if type(t) ~= "table" then
    bad_argument(1, "pairs", "table", ...)
  end
  return contents[t] and known_next or next, t, nil
end

function G.table.foreach(t, ...)
  local f = ...
  if type(t) ~= "table" then
    bad_argument(1, "foreach", "table", t)
  elseif type(f) ~= "function" then
    bad_argument(2, "foreach", "function", ...)
  end
  if contents[t] then
    for key, value in next, contents[t] do
      local result = f(key, value)
      if result ~= nil then
        return result
      end
    end
    return
  end
  return raw_foreach(t, f)
end

function G.table.insert(t, ...)
  if type(t) ~= "table" then
    if t == nil and select("#", ...) == 0 then
      bad_argument(1, "insert", "table")
    end
    bad_argument(1, "insert", "table", t)
  end
  local given = select("#", ...)
  if given == 2 then
    local position = ...
    if not tonumber(position) or type(position) == "boolean" then
      bad_argument(2, "insert", "number", position)
    end
  elseif given ~= 1 then
    error("wrong number of arguments to 'insert'", 2)
  end
  if contents[t] then
    error("Attempt to modify a readonly table", 0)
  end
  return raw_insert(t, ...)
end

function G.unpack(...)
  local t, first, last = ...
  if type(t) ~= "table" then
    bad_argument(1, "unpack", "table", ...)
  end
  local from, to = 1, nil
  if first ~= nil then
    from = tonumber(first)
    if not from then
      bad_argument(2, "unpack", "number", first)
    end
    from = to_int(from)
  end
  if last ~= nil then
    to = tonumber(last)
    if not to then
      bad_argument(3, "unpack", "number", last)
    end
    to = to_int(to)
  else
    to = #t
  end
  if from > to then
    return
  end
  local given = select("#", ...)
  if to - from + 1 + given > STACK_MAX then
    error("too many results to unpack", 2)
  end
  -- The bounds that were not given would take room on the stack from the results.
  if given == 1 then
    return raw_unpack(t)
  elseif given == 2 then
    return raw_unpack(t, from)
  end
  return raw_unpack(t, from, to)
end

function G.loadstring(...)
  local source, name = ...
  if type(source) == "number" then
    source = tostring(source)
  elseif type(source) ~= "string" then
    bad_argument(1, "loadstring", "string", ...)
  end
  if name ~= nil and type(name) ~= "string" and type(name) ~= "number" then
    bad_argument(2, "loadstring", "string", name)
  end
  return compile(source, name or source)
end

-- Reads all pieces before it parses: a reader that runs within the parser can free what the
-- parser holds.
function G.load(...)
  local reader, name = ...
  if type(reader) ~= "function" then
    bad_argument(1, "load", "function", ...)
  end
  if name ~= nil and type(name) ~= "string" and type(name) ~= "number" then
    bad_argument(2, "load", "string", name)
  end
  local pieces, count = {}, 0
  while true do
    local ok, piece = settled(raw_pcall(reader))
    if not ok then
      return nil, piece
    end
    if piece == nil or piece == "" then
      break
    end
    if type(piece) ~= "string" and type(piece) ~= "number" then
      return nil, "reader function must return a string"
    end
    count = count + 1
    pieces[count] = piece
  end
  return compile(concat(pieces), name or "=(load)")
end

G.rawset, G.setmetatable = native.rawset, native.setmetatable

if native.newproxy then
  local raw_newproxy = native.newproxy

  function G.newproxy(...)
    local like = ...
    local ok, proxy = raw_pcall(raw_newproxy, like)
    if not ok then
      local is_wrong = like and like ~= true
      error(is_wrong and "bad argument #1 to 'newproxy' (boolean or proxy expected)" or proxy, 2)
    end
    if like == true then
      -- Scripts see a stand-in for the metatable, through which no finalizer gets into it, and
      -- which nothing takes away.
      local metatable = raw_getmetatable(proxy)
      metatable.__metatable = setmetatable({}, {
        __index = metatable,
        __newindex = function(_, key, value)
          if key ~= "__gc" and key ~= "__metatable" then
            metatable[key] = value
          end
        end,
        __metatable = false,
      })
    end
    return proxy
  end
end

setmetatable(G, { __index = nonexistent })
local sealed_globals = seal(G)
string_metatable = seal({ __index = G.string })

local handles = { contents = contents, compile = compile, xpcall = raw_xpcall, next = next, tostring = tostring }

-- What scripts see in the place of an environment.
function handles.environment(environment)
  if environment == handles.globals then
    return sealed_globals
  end
  return stand_in[environment] or environment
end

if not native.library then
  handles.globals = sealed_globals
  return handles
end

-- Functions live in an environment of their own: while a library loads, it reads from the few
-- things that a library may use; afterwards from the globals.
local library = setmetatable({ redis = setmetatable(native.library, { __index = nonexistent }) }, { __index = nonexistent })
seal(library)
local environment = { __index = G, __newindex = readonly }
handles.globals = setmetatable({}, environment)

function handles.loading(on)
  environment.__index = on and library or G
end

return handles
