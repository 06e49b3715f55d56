--@ eval
_G.x = 1
--@ eval
_G.redis = 1
--@ eval
redis = 1
--@ eval
redis.call = 1
--@ eval
redis.x = 1
--@ eval
string.x = 1
--@ eval
string.rep = nil
--@ eval
table.insert = 1
--@ eval
math.pi = 3
--@ eval
cjson = 1
--@ eval
coroutine.x = 1
--@ eval
KEYS = 1
--@ eval
ARGV = {}
--@ eval
function foo() end
--@ eval
local function foo() end return 1
--@ eval
local t = {} function t.x() return 3 end return t.x()
--@ eval
rawset(_G,'x',1)
--@ eval
return rawset(_G,'x',1)
--@ eval
rawset(redis,'call',1)
--@ eval
rawset(string,'rep',1)
--@ eval
setmetatable(_G,{})
--@ eval
return setmetatable(_G,{})
--@ eval
setmetatable(_G,nil)
--@ eval
setmetatable(redis,{})
--@ eval
setmetatable(string,nil)
--@ eval
getmetatable(_G).__index = 1
--@ eval
getmetatable(_G).__index = nil
--@ eval
getmetatable(_G).x = 1
--@ eval
return type(getmetatable(_G))
--@ eval
return type(getmetatable(_G).__index)
--@ eval
local a = getmetatable(_G).__index(_G) return a
--@ eval
local a = getmetatable(_G).__index(_G,'a') return a
--@ eval
local a = getmetatable(_G).__index(_G,{}) return a
--@ eval
local a = getmetatable(_G).__index() return a
--@ eval
getmetatable(_G).__index(_G,1,2)
--@ eval
local n={} for k in pairs(getmetatable(_G)) do n[#n+1]=k end table.sort(n) return n
--@ eval
return getmetatable(redis)
--@ eval
return getmetatable(string)
--@ eval
return getmetatable(math)
--@ eval
return type(getmetatable(''))
--@ eval
getmetatable('').__index = 1
--@ eval
getmetatable('').x = 1
--@ eval
getmetatable('').__index.rep = 1
--@ eval
setmetatable(getmetatable(''),{})
--@ eval
local n={} for k in pairs(getmetatable('')) do n[#n+1]=k end return n
--@ eval
return tostring(getmetatable('').__index == string)
--@ eval
setmetatable('',{})
--@ eval
return getmetatable(1)
--@ eval
return getmetatable(nil)
--@ eval
return getmetatable(true)
--@ eval
return getmetatable(print == nil)
--@ eval
local n={} for k in pairs(string) do n[#n+1]=k end table.sort(n) return n
--@ eval
local n={} for k in pairs(table) do n[#n+1]=k end table.sort(n) return n
--@ eval
local n={} for k in pairs(math) do n[#n+1]=k end table.sort(n) return n
--@ eval
local n={} for k in pairs(coroutine) do n[#n+1]=k end table.sort(n) return n
--@ eval
local n={} for k in pairs(redis) do n[#n+1]=k end table.sort(n) return n
--@ eval
local n={} for k in next, redis do n[#n+1]=k end table.sort(n) return n
--@ eval
local n={} local k = next(redis) while k do n[#n+1]=k k = next(redis,k) end table.sort(n) return n
--@ eval
local n={} table.foreach(redis, function(k) n[#n+1]=k end) table.sort(n) return n
--@ eval
return table.foreach(redis, function(k, v) if k == 'call' then return 'found' end end)
--@ eval
return table.foreach({1,2,3}, function(k, v) if v == 2 then return k end end)
--@ eval
table.foreach(redis)
--@ eval
local n = 0 for k in pairs(_G) do if k == 'redis' or k == 'string' or k == 'KEYS' or k == '_G' then n = n + 1 end end return n
--@ eval
local bad = {} for _, k in ipairs({'print','dofile','loadfile','require','module','package','io','os','debug','newproxy','getfenv','setfenv','arg'}) do if rawget(_G,k) ~= nil then bad[#bad+1]=k end end return bad
--@ eval
return #_G
--@ eval
return #redis
--@ eval
for i,v in ipairs(_G) do return i end return 'none'
--@ eval
return {unpack(redis)}
--@ eval
return table.concat(redis)
--@ eval
return table.getn(redis)
--@ eval
return table.maxn(redis)
--@ eval
table.insert(redis,1)
--@ eval
table.insert(_G,1)
--@ eval
table.insert(_G,1,2)
--@ eval
local a = table.insert(redis, 1, 1) return a
--@ eval
table.remove(redis) return 1
--@ eval
table.remove(redis,1) return 1
--@ eval
table.sort(redis) return 1
--@ eval
table.setn(redis,1)
--@ eval
return rawget(_G,'x')
--@ eval
return type(rawget(_G,'redis'))
--@ eval
return type(rawget(redis,'call'))
--@ eval
return rawget(redis,'x')
--@ eval
return tostring(rawequal(_G,_G))
--@ eval
return tostring(_G._G == _G)
--@ eval
return tostring(_G.redis == redis)
--@ eval
return type(_G)
--@ eval
return type(redis)
--@ eval
return type(redis.call)
--@ eval
return type(pcall)
--@ eval
return type(next)
--@ eval
return type(string.rep)
--@ eval
return _VERSION
--@ eval
return type(__redis__err__handler)
--@ eval
return string.sub(tostring(redis),1,6)
--@ eval
return _G.nosuch
--@ eval
return _G['nosuch']
--@ eval
return _G[1]
--@ eval
return _G[1.5]
--@ eval
return _G[true]
--@ eval
return _G[{}]
--@ eval
return _G[print]
--@ eval
local e = _G return e.foo
--@ eval
local ok, e = pcall(function() return foo end) return e
--@ eval
local ok, e = pcall(function() foo = 1 end) return e
--@ eval
local ok, e = pcall(rawset, _G, 'x', 1) return e
--@ eval
local ok, e = pcall(setmetatable, _G, {}) return e
--@ eval
local ok, e = pcall(function() redis.call = nil end) return e
--@ eval
collectgarbage() return 1
--@ eval
return type(collectgarbage('count'))
--@ eval
return collectgarbage('nosuch')
--@ eval
return type(gcinfo())
--@ eval
return #string.dump(function() end) > 10
--@ eval
return loadstring(string.dump(function() end))
--@ eval
return tostring(loadstring('\27'))
--@ eval
return {pcall(string.dump, redis.call)}
--@ eval
redis.call = function() end
--@ eval
for k,v in pairs(redis) do redis[k] = nil end
--@ eval
redis['call'] = nil
--@ eval
string.format = function() end
--@ eval
math.random = function() return 4 end
--@ eval
local s = string s.x = 1
--@ eval
local m = getmetatable(_G) rawset(m,'__index',nil)
--@ eval
local m = getmetatable(_G) setmetatable(m,{})
--@ eval
rawset(getmetatable(''),'__index',{})
--@ eval
local c = coroutine.create(function() x = 1 end) return {coroutine.resume(c)}
--@ eval
loadstring('y = 1')()
--@ eval
return {pcall(loadstring('y = 1'))}
--@ eval
return {pcall(loadstring('return nosuch2'))}
--@ eval
return loadstring('return redis.call("ping")')()
--@ eval
return loadstring('return KEYS')()
--@ eval
return loadstring('return ...')(1,2)
--@ eval
local f = loadstring('local a = ... return a * 2') return f(21)
--@ eval
return string.rep('x', 0)
--@ eval
return #string.rep('x', 100000)
--@ eval
return string.format('%s', redis) ~= nil
--@ eval
return string.format('%5.2f|%d|%s|%q|%x|%c|%i|%e|%g', 3.14159, 42, 'hi', 'a"b\n', 255, 65, 7, 12345.678, 0.0001)
--@ eval
return string.format('%s %s', 1, 1.5)
--@ eval
return string.format('%10s|%-10s|', 'a', 'b')
--@ eval
return string.format('%99d', 1)
--@ eval
return string.format('%100d', 1)
--@ eval
return string.gsub('hello', 'l', 'L')
--@ eval
return {string.gsub('hello', 'l', {l='1'})}
--@ eval
return {string.gsub('hello', '(h)(e)', '%2%1')}
--@ eval
return {string.gsub('hello', '.', function(c) return c:upper() end)}
--@ eval
return {string.find('hello', 'l')}
--@ eval
return {string.find('hello', '(l)(l)')}
--@ eval
return {string.match('key=value', '(%w+)=(%w+)')}
--@ eval
return string.gsub('x', 'x', '%9')
--@ eval
return string.find('a', '[')
--@ eval
return string.find('a', '%')
--@ eval
return string.rep('(', 40):find(string.rep('(', 40))
--@ eval
local t = {} for w in string.gmatch('one two', '%a+') do t[#t+1] = w end return t
--@ eval
return string.byte('abc', 1, 3)
--@ eval
return {string.byte('abc', 1, 3)}
--@ eval
return string.byte('')
--@ eval
return string.reverse('abc')
--@ eval
return string.lower('ABC') .. string.upper('def')
--@ eval
return ('%d'):format(3)
--@ eval
return ('abc'):sub(2)
--@ eval
return #'abc'
