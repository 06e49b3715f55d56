--@ eval keys=k1,k2 args=a1,a2
return {KEYS[1],KEYS[2],ARGV[1],ARGV[2],#KEYS,#ARGV}
--@ eval keys=k1,k2 args=a1,a2
return KEYS
--@ eval keys=k1,k2 args=a1,a2
return ARGV[3]
--@ eval keys=k1,k2 args=a1,a2
KEYS[1]='x' KEYS.y=2 return KEYS
--@ eval keys=k1,k2 args=a1,a2
ARGV[5]='z' return {#ARGV, ARGV[5]}
--@ eval
return {#KEYS,#ARGV}
--@ eval keys=k1,k2 args=a1,a2
return redis.call('set',KEYS[1],ARGV[1])
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall('set',KEYS[1],ARGV[1])
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],'v') return redis.call('get',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
return redis.call('get',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
return type(redis.call('get',KEYS[1]))
--@ eval keys=k1,k2 args=a1,a2
return redis.call('set',KEYS[1],'v').ok
--@ eval keys=k1,k2 args=a1,a2
return redis.call('incr',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
return redis.call('incr',KEYS[1]) + 1
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],'x') return redis.call('incr',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],'x') return redis.pcall('incr',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],'x') return redis.pcall('incr',KEYS[1]).err
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],'x') return redis.pcall('lpush',KEYS[1],1)['err']
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],'x')
redis.call('lpush',KEYS[1],1)
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],'x')
return redis.call('lpush',KEYS[1],1)
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],'x')
local a = redis.call('lpush',KEYS[1],1)
return a
--@ eval keys=k1,k2 args=a1,a2
redis.call('rpush',KEYS[1],1,2,3) return redis.call('lrange',KEYS[1],0,-1)
--@ eval keys=k1,k2 args=a1,a2
redis.call('rpush',KEYS[1],1,2,3) return #redis.call('lrange',KEYS[1],0,-1)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('lrange',KEYS[1],0,-1)
--@ eval keys=k1,k2 args=a1,a2
redis.call('hset',KEYS[1],'f','v','g','w') return redis.call('hgetall',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
redis.setresp(3) redis.call('hset',KEYS[1],'f','v') return redis.call('hgetall',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
redis.setresp(3) redis.call('hset',KEYS[1],'f','v','g','w') local m = redis.call('hgetall',KEYS[1]) return m.map.f
--@ eval keys=k1,k2 args=a1,a2
redis.setresp(3) return type(redis.call('get','nokey'))
--@ eval keys=k1,k2 args=a1,a2
redis.setresp(3) redis.call('set',KEYS[1],1) return redis.call('mget','a',KEYS[1],'b')
--@ eval keys=k1,k2 args=a1,a2
redis.setresp(3) redis.call('set',KEYS[1],1) return #redis.call('mget','a',KEYS[1],'b')
--@ eval keys=k1,k2 args=a1,a2
redis.setresp(3) redis.call('set',KEYS[1],1) return #redis.call('mget',KEYS[1],'a',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
redis.setresp(3) local r = redis.call('mget','a','b','c') return {#r, next(r) == nil}
--@ eval keys=k1,k2 args=a1,a2
redis.call('set',KEYS[1],1) return redis.call('mget','a',KEYS[1],'b')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('set',KEYS[1],1,2,3,4)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',12)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1.5)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',0.1)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1e15)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1e16)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1e17)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1e20)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1/3)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',-1/3)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1/0)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',-1/0)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',0/0)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',-(0/0))
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',-0)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',2^53)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',2^63)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1e-5)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1.5e-7)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',123456789.123456789)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',5e-324)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',1.7976931348623157e308)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo','a\0b')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',true)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',nil)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',{})
--@ eval keys=k1,k2 args=a1,a2
return redis.call('echo',function() end)
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall('echo',true)
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall('echo',{})
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall('echo',{}).err
--@ eval keys=k1,k2 args=a1,a2
return redis.call()
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall()
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall().err
--@ eval keys=k1,k2 args=a1,a2
return redis.call('nosuch')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('nosuch','x')
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall('nosuch')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('get')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('get','a','b')
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall('get')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('subscribe','a')
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall('subscribe','a')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('eval','return 1','0')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('multi')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('GeT','a')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('type',KEYS[1])
--@ eval keys=k1,k2 args=a1,a2
return redis.call('ping')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('ping','hi')
--@ eval keys=k1,k2 args=a1,a2
return redis.pcall('ping')
--@ eval keys=k1,k2 args=a1,a2
return tostring(redis.call('ping').ok)
--@ eval keys=k1,k2 args=a1,a2
return redis.call('del','a','b')
--@ eval keys=k1,k2 args=a1,a2
return redis.call('exists','a')
--@ eval keys=k1,k2 args=a1,a2
local t = {} for i=1,20 do t[i]='v' end return redis.call('rpush','l',unpack(t))
--@ eval keys=k1,k2 args=a1,a2
local t = {} for i=1,500 do t[i]='v' end return redis.call('rpush','l',unpack(t))
--@ eval keys=k1,k2 args=a1,a2
return redis.call(1)
--@ eval keys=k1,k2 args=a1,a2
return redis.call(KEYS)
--@ eval keys=k1,k2 args=a1,a2
return pcall(redis.call,'get')
--@ eval keys=k1,k2 args=a1,a2
local ok, e = pcall(redis.call,'get') return {tostring(ok), type(e), e}
--@ eval keys=k1,k2 args=a1,a2
local ok, e = pcall(redis.call,'nosuch') return e
--@ eval keys=k1,k2 args=a1,a2
local ok, e = pcall(function() return redis.call('nosuch') end) return e
--@ eval keys=k1,k2 args=a1,a2
local ok, e = xpcall(function() return redis.call('nosuch') end, function(e) return type(e) end) return e
--@ eval keys=k1,k2 args=a1,a2
local ok, e = xpcall(function() return redis.call('nosuch') end, function(e) return e end) return e
--@ eval keys=k1,k2 args=a1,a2
local ok, e = xpcall(function() return redis.call('nosuch') end, function(e) return e.err end) return e
--@ eval keys=k1,k2 args=a1,a2
local ok, e = xpcall(function() return redis.call('nosuch') end, function(e) return tostring(e.ignore_error_stats_update) end) return e
--@ eval keys=k1,k2 args=a1,a2
local co = coroutine.create(function() redis.call('nosuch') end) local ok, e = coroutine.resume(co) return {tostring(ok), type(e), e}
--@ eval keys=k1,k2 args=a1,a2
local f = coroutine.wrap(function() redis.call('nosuch') end) f()
--@ eval keys=k1,k2 args=a1,a2
local f = coroutine.wrap(function() redis.call('nosuch') end)
local ok, e = pcall(f) return e
--@ eval keys=k1,k2 args=a1,a2
local f = coroutine.wrap(function() error('x') end) f()
--@ eval keys=k1,k2 args=a1,a2
local f = coroutine.wrap(function() coroutine.yield(redis.call('ping')) end) return f()
--@ eval keys=k1,k2 args=a1,a2
local co = coroutine.create(function(a) local b = coroutine.yield(a+1) return b*2 end) local _, x = coroutine.resume(co, 1) local _, y = coroutine.resume(co, 10) return {x, y, coroutine.status(co)}
--@ eval keys=k1,k2 args=a1,a2
local co = coroutine.create(function() error({err='ERR tab'}) end) local ok, e = coroutine.resume(co) return e
--@ eval keys=k1,k2 args=a1,a2
local a = coroutine.resume(1) return a
--@ eval keys=k1,k2 args=a1,a2
return coroutine.resume(coroutine.create(function() end))
--@ eval keys=k1,k2 args=a1,a2
local co = coroutine.create(function() end) coroutine.resume(co) local ok, e = coroutine.resume(co) return e
--@ eval
error('x')
--@ eval
error('x', 0)
--@ eval
error('x', 1)
--@ eval
error('x', 2)
--@ eval
error({err='ERR y'})
--@ eval
error({err='MY y'})
--@ eval
error({err='y'})
--@ eval
error({err='a\r\nb'})
--@ eval
return error('x')
--@ eval
error(nil)
--@ eval
error()
--@ eval
error(1)
--@ eval
error(true)
--@ eval
error(function() end ~= nil)
--@ eval
error('MULTI\nline')
--@ eval
error(redis.error_reply('MY e'))
--@ eval
error(redis.pcall('nosuch'))
--@ eval
return redis.pcall('nosuch')
--@ eval
local a = redis.pcall('nosuch') return a.err
--@ eval
local a = redis.pcall('nosuch') return tostring(a.ignore_error_stats_update)
--@ eval
local a = redis.pcall('nosuch') return tostring(a.source)
--@ eval
x = 1
--@ eval
x.y = 1
--@ eval
local x x.y = 1
--@ eval
local x = {} x.y.z = 1
--@ eval
local x = nil; return x()
--@ eval
return nosuch
--@ eval
return nosuch()
--@ eval
nosuch()
--@ eval
return 1 + nil
--@ eval
return 1 + {}
--@ eval
return 'a' + 1
--@ eval
return {} .. 'x'
--@ eval
return #nil
--@ eval
return 1 < 'x'
--@ eval
return {} < {}
--@ eval
local function f() error('deep') end
local function g() f() end
g()
--@ eval
local function f() return nosuchvar end

return f()
--@ eval
error('line four')
--@ eval
local t = setmetatable({}, {__index=function(t,k) error('in index '..k) end})
return t.foo
--@ eval
local function r() return r() + 1 end return r()
--@ eval
local function r(n) local ok = pcall(r, n+1) return ok end return tostring(r(1))
--@ eval
local s = string.rep('x', 10) return s:nosuch()
--@ eval
return ('x'):rep(3)
--@ eval
return ('x').len
--@ eval
return pcall(error)
--@ eval
return {pcall(error, 'a')}
--@ eval
return {pcall(error, {err='t'})}
--@ eval
return {pcall(error, {err=5})}
--@ eval
return {pcall(error, {x='t'})}
--@ eval
return {pcall(error, nil)}
--@ eval
return {pcall(function() error('in') end)}
--@ eval
return {pcall(function() error('in', 2) end)}
--@ eval
return {pcall(function() local x = nil; x() end)}
--@ eval
return {pcall(function() return 1, 2, 3 end)}
--@ eval
return {pcall(1)}
--@ eval
return {pcall(nil)}
--@ eval
return {pcall(function(...) return ... end, 1, nil, 3)}
--@ eval
return select('#', pcall(function(...) return ... end, 1, nil, nil))
--@ eval
return {xpcall(function() error('a') end, function(e) return 'h:'..e end)}
--@ eval
return {xpcall(function() return 7 end, function(e) return e end)}
--@ eval
return {xpcall(function() error('a') end, nil)}
--@ eval
return {xpcall(function() error('a') end)}
--@ eval
return {xpcall(function() error('a') end, function(e) error('b') end)}
--@ eval
return {xpcall(nosuchfn, 1)}
--@ eval
return {pcall(pcall)}
--@ eval
assert(false)
--@ eval
assert(false, 'msg')
--@ eval
assert(nil, 'msg')
--@ eval
assert(1 == 1) return 'ok'
--@ eval
return assert(5)
--@ eval
assert()
--@ eval
assert(false, {err='ERR tbl'})
--@ eval
assert(redis.pcall('nosuch').err == nil, 'bad')
--@ eval
redis.log()
--@ eval
redis.log(1)
--@ eval
redis.log('x','y')
--@ eval
redis.log(9,'y')
--@ eval
redis.log(-1,'y')
--@ eval
redis.log(redis.LOG_DEBUG,'y') return 1
--@ eval
redis.log('1','y') return 1
--@ eval
redis.log(redis.LOG_DEBUG,'y',1,{},nil,true) return 1
--@ eval
redis.setresp()
--@ eval
redis.setresp(1)
--@ eval
redis.setresp(4)
--@ eval
redis.setresp('x')
--@ eval
redis.setresp('3') return 1
--@ eval
redis.setresp(2,3)
--@ eval
redis.setresp(3.7) return 1
--@ eval
return redis.setresp(3)
--@ eval
redis.set_repl()
--@ eval
redis.set_repl(1,2)
--@ eval
redis.set_repl(9)
--@ eval
redis.set_repl(-1)
--@ eval
redis.set_repl('x') return 1
--@ eval
redis.set_repl(redis.REPL_ALL) return 1
--@ eval
redis.set_repl(redis.REPL_NONE) return 1
--@ eval
return redis.set_repl(8)
--@ eval
return redis.sha1hex('')
--@ eval
return redis.sha1hex('abc')
--@ eval
return redis.sha1hex(1)
--@ eval
return redis.sha1hex(1.5)
--@ eval
return redis.sha1hex(nil)
--@ eval
return redis.sha1hex({})
--@ eval
return redis.sha1hex(true)
--@ eval
return redis.sha1hex()
--@ eval
return redis.sha1hex('a','b')
--@ eval
return redis.acl_check_cmd('get','a')
--@ eval
return redis.acl_check_cmd('nosuch','a')
--@ eval
return redis.acl_check_cmd()
--@ eval
return redis.acl_check_cmd({})
--@ eval
return tostring(redis.acl_check_cmd('set','k','v'))
--@ eval
return redis.breakpoint()
--@ eval
return tostring(redis.breakpoint())
--@ eval
return redis.debug('x')
--@ eval
return tostring(redis.debug('x'))
--@ eval
return redis.replicate_commands()
--@ eval
return tostring(redis.replicate_commands())
--@ eval
return {redis.LOG_DEBUG,redis.LOG_VERBOSE,redis.LOG_NOTICE,redis.LOG_WARNING}
--@ eval
return {redis.REPL_NONE,redis.REPL_AOF,redis.REPL_SLAVE,redis.REPL_REPLICA,redis.REPL_ALL}
--@ eval
return {redis.REDIS_VERSION,redis.REDIS_VERSION_NUM}
--@ eval
return redis.nosuch
--@ eval
return redis.nosuch()
--@ eval
redis.nosuch()
--@ eval
return redis.register_function('x', function() end)
--@ eval
return {1,2,
--@ eval
return (
--@ eval
x =
--@ eval
if x then
--@ eval
return 'abc
--@ eval
for i=1 do end
--@ eval
goto x
--@ eval
return 1 2
--@ eval
local 1
--@ eval
return 0x
--@ eval
--[[ unfinished
--@ eval
return [==[x]=]
--@ eval
@
--@ eval
Lua
--@ eval
return '\300'
--@ eval
break
--@ eval
return ...
--@ eval
local a <const> = 1
--@ eval
a.b:c = 1
--@ eval
f(
)
--@ eval
local t = {} t[nil] = 1
--@ eval
local t = {} t[0/0] = 1
--@ eval
for i='a',2 do end
--@ eval
for i=1,'b' do end
--@ eval
for i=1,2,0 do break end return 5
--@ eval
return math.floor('x')
--@ eval
return ('x'):bad()
--@ eval
return string.rep()
--@ eval
return string.rep('x',-1)
--@ eval
return string.format('%d','x')
--@ eval
return string.format('%y',1)
--@ eval
return string.char(256)
--@ eval
return table.concat({1,{},3})
--@ eval
return table.concat({1,2,3},',',1,5)
--@ eval
return tonumber('z',99)
--@ eval
return setmetatable(1,{})
--@ eval
return setmetatable({},1)
--@ eval
return setmetatable({})
--@ eval
return setmetatable()
--@ eval
local a = getmetatable() return a
--@ eval
return rawset(1,2,3)
--@ eval
return rawset({},nil,3)
--@ eval
return rawset({},1)
--@ eval
return rawset({},0/0,3)
--@ eval
local a = rawget(1,2) return a
--@ eval
local a = next(1) return a
--@ eval
local a = next() return a
--@ eval
local a = next({},'nokey') return a
--@ eval
local a = pairs(nil) return a
--@ eval
local a = pairs() return a
--@ eval
for k in pairs(5) do end
--@ eval
for k in ipairs(nil) do end
--@ eval
local a = unpack(nil) return a
--@ eval
local a = unpack() return a
--@ eval
return unpack({1,2,3})
--@ eval
return {unpack({1,2,3},2)}
--@ eval
return {unpack({1,2,3},2,3)}
--@ eval
return {unpack({1,2,3},'2','3')}
--@ eval
return {unpack({1,2,3},-1,1)}
--@ eval
return {unpack({1,2,3},3,1)}
--@ eval
return {unpack({1,2},1.9,2.1)}
--@ eval
local a = unpack({1},'x') return a
--@ eval
local a = unpack({1},1,{}) return a
--@ eval
local a = unpack({},1,8000) return a
--@ eval
return select('#',unpack({},1,7990))
--@ eval
local a = unpack({},0,2147483647) return a
--@ eval
local a = unpack({},-2147483648,2147483647) return a
--@ eval
local a = unpack({},1,1e10) return a
--@ eval
return unpack({},1,2^31)
--@ eval
local t={} for i=1,9000 do t[i]=1 end local a = unpack(t) return a
--@ eval
local a = table.insert() return a
--@ eval
table.insert(nil,1)
--@ eval
table.insert({},1,2,3)
--@ eval
table.insert({})
--@ eval
table.insert({},'x',2)
--@ eval
local t={} table.insert(t,'a') table.insert(t,1,'b') return t
--@ eval
local t={} table.insert(t,'2','b') return {t[2]}
--@ eval
local t={} table.insert(t,nil) return #t
--@ eval
return select('#', table.insert({},1))
--@ eval
local a = loadstring() return a
--@ eval
local a = loadstring({}) return a
--@ eval
return {loadstring('return 1')()}
--@ eval
return {loadstring('x =')}
--@ eval
return {loadstring('x =', 'name')}
--@ eval
return {loadstring('x =', '@name')}
--@ eval
return {loadstring('x =', '=name')}
--@ eval
return {loadstring('return nosuch','@c')}
--@ eval
return loadstring('return nosuch','@c')()
--@ eval
return loadstring('error("e")')()
--@ eval
return loadstring('\27Lua')
--@ eval
return {loadstring('\27Lua')}
--@ eval
return {loadstring(string.dump(function() return 1 end))}
--@ eval
return {loadstring(5)}
--@ eval
return loadstring('x = 1')()
--@ eval
local a = load(1) return a
--@ eval
local a = load() return a
--@ eval
local i=0 return load(function() i=i+1 return ({'return ','4','2'})[i] end)()
--@ eval
return {load(function() return 5 end and function() end)}
--@ eval
return {load(function() error('r') end)}
--@ eval
return {load(function() error({err='ERR r'}) end)}
--@ eval
return {load(function() return {} end)}
--@ eval
local i=0 return {load(function() i=i+1 return ({'x =',nil})[i] end)}
--@ eval
local i=0 return {load(function() i=i+1 return ({'x =',nil})[i] end,'@nm')}
--@ eval
local i=0 return {load(function() i=i+1 return ({'\27Lua','x'})[i] end)}
--@ eval
return getfenv
--@ eval
return setfenv
--@ eval
return newproxy
--@ eval
return print
--@ eval
return dofile
--@ eval
return loadfile
--@ eval
return require
--@ eval
return module
--@ eval
return package
--@ eval
return io
--@ eval
return os
--@ eval
return debug
--@ eval
return os.clock()
--@ eval
return arg
