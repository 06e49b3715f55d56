--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function(keys,args) return 1 end)
--@ library fcall=f keys=a,b args=c,d
#!lua name=mylib
redis.register_function('f', function(keys,args) return {keys,args} end)
--@ library fcall=F keys=a,b args=c,d
#!lua name=mylib
redis.register_function('f', function(keys,args) return {keys,args} end)
--@ library fcall=g
#!lua name=mylib
redis.register_function('f', function(keys,args) return {keys,args} end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function(keys,args) return KEYS end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function(keys,args) return nosuch end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function(keys,args)
  nosuch = 1
end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function(keys,args)
  return redis.call('nosuch')
end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function(keys,args)
  error('x')
end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function(keys,args)
  error({err='MY x'})
end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function(keys,args)
  local x = nil; return x.y
end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.call('set',keys[1],args[1]) end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.pcall('nosuch') end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.sha1hex('') end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) redis.setresp(3) return {double=1.5} end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.breakpoint end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.debug end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.replicate_commands end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.register_function end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.LOG_DEBUG end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return __redis__err__handler end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) _G.x = 1 end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return _G.x end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) rawset(_G,'x',1) end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return tostring(_G.redis == redis) end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return type(getmetatable(_G)) end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) setmetatable(_G,{}) end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) redis.x = 1 end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) local n={} for k in pairs(redis) do n[#n+1]=k end table.sort(n) return n end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) local n={} for k in pairs(_G) do if type(k)=='string' and k ~= 'cjson' and k ~= 'cmsgpack' and k ~= 'bit' and k ~= 'struct' then n[#n+1]=k end end table.sort(n) return n end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return {pcall(error,'e')} end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return math.random ~= nil end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) math.randomseed(7) return math.random(1000) end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return loadstring('return 5')() end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return {pcall(loadstring('z = 5'))} end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return print end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return os end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return require end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.acl_check_cmd('get','a') end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return redis.error_reply('MY err') end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return {1,2,{3}} end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return {map={a=1}} end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return true end)
--@ library fcall=f keys=k args=v
#!lua name=mylib
redis.register_function('f', function(keys,args) return string.rep('a',3) end)
--@ library fcall=f
#!lua name=mylib
local n = 0
local function bump() n = n + 1 return n end
redis.register_function('f', function() bump() return bump() end)
--@ library fcall=f
#!lua name=mylib
local r = redis
redis.register_function('f', function() return tostring(r == redis) end)
--@ library fcall=f
#!lua name=mylib
local r = redis
redis.register_function('f', function() return r.call end)
--@ library fcall=f
#!lua name=mylib
local r = redis
redis.register_function('f', function() return r.register_function('g', function() end) end)
--@ library fcall=f
#!lua name=mylib
local r = redis.register_function
redis.register_function('f', function() return r('g', function() end) end)
--@ library fcall=f
#!lua name=mylib
--@ library fcall=f
#!lua name=mylib
x = 1
--@ library fcall=f
#!lua name=mylib
local x = 1
--@ library fcall=f
#!lua name=mylib
error('oops')
--@ library fcall=f
#!lua name=mylib
error({err='MY oops'})
--@ library fcall=f
#!lua name=mylib
local a = nosuch
--@ library fcall=f
#!lua name=mylib
redis.call('ping')
--@ library fcall=f
#!lua name=mylib
return redis.call
--@ library fcall=f
#!lua name=mylib
redis.pcall('ping')
--@ library fcall=f
#!lua name=mylib
redis.log(redis.LOG_DEBUG,'hi')
--@ library fcall=f
#!lua name=mylib
redis.log()
--@ library fcall=f
#!lua name=mylib
redis.nosuch()
--@ library fcall=f
#!lua name=mylib
math.random()
--@ library fcall=f
#!lua name=mylib
string.rep('x',2)
--@ library fcall=f
#!lua name=mylib
pcall(function() end)
--@ library fcall=f
#!lua name=mylib
local t = {} setmetatable(t,{})
--@ library fcall=f
#!lua name=mylib
redis.x = 1
--@ library fcall=f
#!lua name=mylib
redis.register_function = 1
--@ library fcall=f
#!lua name=mylib
return 5
--@ library fcall=f
#!lua name=mylib
syntax error here
--@ library fcall=f
#!lua name=mylib
return {1,
--@ library fcall=f
#!lua name=mylib
redis.register_function()
--@ library fcall=f
#!lua name=mylib
redis.register_function('f')
--@ library fcall=f
#!lua name=mylib
redis.register_function({})
--@ library fcall=f
#!lua name=mylib
redis.register_function(1)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', 1)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function() end, 3)
--@ library fcall=f
#!lua name=mylib
redis.register_function(1, function() end)
--@ library fcall=f
#!lua name=mylib
redis.register_function({}, function() end)
--@ library fcall=f
#!lua name=mylib
redis.register_function(nil, function() end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('bad name', function() end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('', function() end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('a-b', function() end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function() end) redis.register_function('f', function() end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function() end) redis.register_function('F', function() end)
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f'}
--@ library fcall=f
#!lua name=mylib
redis.register_function{callback=function() end}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=1}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name=1, callback=function() return 'one' end}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name={}, callback=function() end}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, description={}}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, description='d'}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, flags='x'}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, flags={}}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, flags={'x'}}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, flags={1}}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, flags={{}}}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, flags={'no-writes','NO-WRITES','allow-oom'}}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, nosuch=1}
--@ library fcall=f
#!lua name=mylib
redis.register_function{function_name='f', callback=function() end, [1]=1}
--@ library fcall=f
#!lua name=mylib
redis.register_function{'f', function() end}
--@ library fcall=f
#!lua name=mylib
redis.register_function{[true]=1}
--@ library fcall=f
#!lua name=mylib
redis.register_function{FUNCTION_NAME='f', CallBack=function() return 'ci' end}
--@ library fcall=f
#!lua name=mylib
local ok = redis.register_function('f', function() return 2 end)
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function() return 2 end)
error('after')
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', function() return 2 end)
local x = y
--@ library fcall=f
#!lua name=mylib
_G.x = 1
--@ library fcall=f
#!lua name=mylib
return _G
--@ library fcall=f
#!lua name=mylib
setmetatable(redis,{})
--@ library fcall=f
#!lua name=mylib


error('line')
--@ library fcall=f
#!lua name=mylib
redis.setresp(3)
--@ library fcall=f
#!lua name=mylib
redis.sha1hex('')
--@ library fcall=f
#!lua name=mylib
redis.error_reply('x')
--@ library fcall=f
#!lua name=mylib
redis.REPL_ALL = 1
--@ library fcall=f
#!lua name=mylib
local v = redis.REPL_ALL
--@ library fcall=f
#!lua name=mylib
local v = redis.REDIS_VERSION redis.register_function('f', function() return v end)
--@ library fcall=f
#!lua name=mylib
local v = redis.LOG_WARNING redis.register_function('f', function() return v end)
--@ library fcall=f
#!lua name=mylib
for i = 1, 3 do redis.register_function('f'..i, function() return i end) end
--@ library fcall=f
#!lua name=mylib
redis.register_function('f1', function() return redis.call('nosuch') end)
--@ library fcall=f
#!lua name=mylib
coroutine.create(function() end)
--@ library fcall=f
#!lua name=mylib
cjson.encode({})
--@ library fcall=f
#!lua name=mylib
tostring(1)
--@ library fcall=f
#!lua name=mylib
type(1)
--@ library fcall=f
#!lua name=mylib
print(1)
--@ library fcall=f
#!lua name=mylib
loadstring('x')
--@ library fcall=f
#!lua name=mylib
KEYS
--@ library fcall=f
#!lua name=mylib
redis.register_function('f', redis.log)
--@ library fcall=f2
#!lua name=mylib
for i = 1, 3 do redis.register_function('f'..i, function() return i end) end
--@ library fcall=1
#!lua name=mylib
redis.register_function{function_name=1, callback=function() return 'one' end}
--@ library fcall=cyc 3
#!lua name=mylib
redis.register_function('cyc', function() return {map={a={set={b=true}}}} end)
--@ library 3 fcall=f
#!lua name=mylib
redis.register_function('f', function() return nil end)
--@ library fcall=f
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=a b
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=a name=b
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=bad-name
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=x foo=bar
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!LUA name=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!Lua NAME=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua Name=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!python name=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua  name=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#! lua name=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name="x"
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name="x y"
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua 'name=x'
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=x flags=no-writes
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua "name=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
name=x
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=é
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
redis.register_function('f', function() return 1 end)
--@ library fcall=f
#!lua name=x redis.register_function('f', 1)
