--@ eval
return 7 % 3
--@ eval
return -7 % 3
--@ eval
return 7.5 % 2
--@ eval
return 2^10
--@ eval
return 10/4
--@ eval
return 10/0
--@ eval
return tostring(1e15)
--@ eval
return tostring(1e16)
--@ eval
return tostring(0.1)
--@ eval
return tostring(1/3)
--@ eval
return tostring(100)
--@ eval
return tostring(-0)
--@ eval
return tostring(2^53)
--@ eval
return 1 .. 2
--@ eval
return 1.5 .. ''
--@ eval
return '10' + 5
--@ eval
return '0x10' + 0
--@ eval
return '1e2' * 1
--@ eval
return ' 5 ' + 1
--@ eval
return tonumber('10')
--@ eval
return tonumber('0x1F')
--@ eval
return tonumber('z', 36)
--@ eval
return tonumber('12', 3)
--@ eval
return tonumber('abc')
--@ eval
return tonumber('')
--@ eval
return tonumber(nil)
--@ eval
return tonumber()
--@ eval
return tonumber({})
--@ eval
return tonumber('1e')
--@ eval
return tostring(tonumber('1e400'))
--@ eval
return math.floor(3.7)
--@ eval
return math.ceil(3.2)
--@ eval
return math.max(1,5,3)
--@ eval
return math.min(4,2)
--@ eval
return math.abs(-3)
--@ eval
return math.fmod(7,3)
--@ eval
return {math.modf(3.7)}
--@ eval
return math.sqrt(16)
--@ eval
return tostring(math.pi)
--@ eval
return tostring(math.huge)
--@ eval
return math.pow(2,3)
--@ eval
return math.mod(7,3)
--@ eval
return tostring(math.exp(1))
--@ eval
return tostring(math.log(10))
--@ eval
return {math.frexp(8)}
--@ eval
return math.ldexp(1,4)
--@ eval
return math.random(0)
--@ eval
return math.random(5,1)
--@ eval
return math.random(1,2,3)
--@ eval
return math.random('x')
--@ eval
return math.random({})
--@ eval
return math.randomseed()
--@ eval
return math.randomseed('x')
--@ eval
return math.randomseed({})
--@ eval
math.randomseed(0) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(0) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(0) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(1) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(1) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(1) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(2) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(2) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(2) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(10) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(10) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(10) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(42) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(42) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(42) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(-1) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(-1) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(-1) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(123456789) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(123456789) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(123456789) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(2147483647) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(2147483647) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(2147483647) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(-2147483648) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(-2147483648) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(-2147483648) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(2147483648) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(2147483648) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(2147483648) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(1.9) local t = {} for i = 1, 10 do t[i] = tostring(math.random()) end return t
--@ eval
math.randomseed(1.9) local t = {} for i = 1, 10 do t[i] = math.random(100) end return t
--@ eval
math.randomseed(1.9) local t = {} for i = 1, 10 do t[i] = math.random(-50, 1000000) end return t
--@ eval
math.randomseed(1) pcall(math.random, 0) return math.random(1000000)
--@ eval
math.randomseed(1) return math.random('10')
--@ eval
math.randomseed(1) return math.random(2147483647)
--@ eval
math.randomseed(1) return math.random(0, 2147483647)
--@ eval
math.randomseed(1) return math.random(-2147483648, 2147483647)
--@ eval
math.randomseed(1) return math.random(1.9)
--@ eval
return table.concat({1,2,3},', ')
--@ eval
return table.concat({})
--@ eval
return table.concat({'a','b','c'},'-',2,3)
--@ eval
local t={3,1,2} table.sort(t) return t
--@ eval
local t={3,1,2} table.sort(t, function(a,b) return a>b end) return t
--@ eval
local t={1,'a'} table.sort(t) return t
--@ eval
local t={5,3,4,1,2} table.sort(t,function(a,b) return true end) return #t
--@ eval
local t={1,2,3} return {table.remove(t), table.remove(t,1), #t}
--@ eval
return table.remove({})
--@ eval
return table.getn({1,2,3})
--@ eval
return table.maxn({1,2,[10]=3})
--@ eval
table.foreachi({1,2}, function(i,v) end) return 1
--@ eval
return {select(2,'a','b','c')}
--@ eval
return select('#')
--@ eval
return select('#',nil,nil)
--@ eval
return select(-1,'a','b')
--@ eval
return select(0)
--@ eval
return {type(nil),type(1),type(''),type({}),type(print==nil),type(type)}
--@ eval
return type()
--@ eval
return tostring()
--@ eval
return tostring(nil)
--@ eval
return tostring(true)
--@ eval
return tostring(setmetatable({},{__tostring=function() return 'mine' end}))
--@ eval
return tostring(setmetatable({},{__tostring=function() return 1 end}))
--@ eval
return rawequal(1,1)
--@ eval
return tostring(rawequal({},{}))
--@ eval
return next({})
--@ eval
return {next({10})}
--@ eval
local t = {} for k,v in pairs({a=1,b=2,c=3,d=4,e=5}) do t[#t+1]=k end return t
--@ eval
local t = {} for k,v in pairs({1,2,3,x=4,y=5}) do t[#t+1]=tostring(k) end return t
--@ eval
local t = {} for i,v in ipairs({1,2,nil,4}) do t[i]=v end return t
--@ eval
local a,b,c = (function() return 1,2,3 end)() return {a,b,c}
--@ eval
local t = setmetatable({},{__call=function(self,x) return x+1 end}) return t(4)
--@ eval
local t = setmetatable({},{__add=function(a,b) return 'sum' end}) return t+1
--@ eval
local t = setmetatable({},{__concat=function(a,b) return 'cat' end}) return t..'x'
--@ eval
local t = setmetatable({},{__eq=function(a,b) return true end}) local u = setmetatable({},getmetatable(t)) return t == u
--@ eval
local t = setmetatable({},{__lt=function(a,b) return true end}) return t < t
--@ eval
local t = setmetatable({},{__unm=function(a) return 'neg' end}) return -t
--@ eval
local t = setmetatable({},{__newindex=function(t,k,v) rawset(t,k,v*2) end}) t.a = 4 return t.a
--@ eval
local t = setmetatable({},{__metatable='locked'}) return getmetatable(t)
--@ eval
local t = setmetatable({},{__metatable='locked'}) return setmetatable(t,{})
--@ eval
local t = setmetatable({},{__metatable='locked'}) setmetatable(t,nil)
--@ eval
local t = setmetatable({},{__index=string}) return t.rep('x',2)
--@ eval
local mt = {} local t = setmetatable({},mt) return tostring(getmetatable(t) == mt)
--@ eval
local t = setmetatable({},{__len=function() return 42 end}) return #t
--@ eval
local t = setmetatable({},{__mode='k'}) t[{}]=1 collectgarbage() return tostring(next(t))
--@ eval
local function f(...) return select('#',...), ... end return {f(1,nil,3)}
--@ eval
local function f(...) return {...} end return f(1,2,3)
--@ eval
local function f(...) return arg.n end return f(1,2,3)
--@ eval
local t = {f=function(self,x) return x end} return t:f(5)
--@ eval
local i = 0 while i < 10 do i = i + 1 if i == 5 then break end end return i
--@ eval
local i = 0 repeat i = i + 1 until i == 7 return i
--@ eval
local s = 0 for i=10,1,-3 do s = s + i end return s
--@ eval
local s = 0 for i=1,0 do s = 1 end return s
--@ eval
local s = '' for i=1,3 do for j=1,3 do if j == 2 then break end s = s..i..j end end return s
--@ eval
local function fib(n) if n < 2 then return n end return fib(n-1)+fib(n-2) end return fib(20)
--@ eval
local function ack(m,n) if m==0 then return n+1 elseif n==0 then return ack(m-1,1) else return ack(m-1,ack(m,n-1)) end end return ack(2,3)
--@ eval
return 1 and 2 or 3
--@ eval
return nil and 2 or 3
--@ eval
return not nil
--@ eval
return 1 == 1.0
--@ eval
return '1' == 1
--@ eval
return 'a' < 'b'
--@ eval
return not (1 > 2)
--@ eval
return 2 ~= 3
--@ eval
return 5 --comment
--@ eval
--[[ c ]] return 6
--@ eval
--[==[ c ]] ]==] return 7
--@ eval
return [[long
string]]
--@ eval
return [==[a]]b]==]
--@ eval
return '\65\066\n'
--@ eval
return 'a\
b'
--@ eval
return "tab\tq\""
--@ eval
return 0xff
--@ eval
return 1e2
--@ eval
return .5 .. ''
--@ eval
return 3 .. ''
--@ eval
local t = {1,2,3;4} return t
--@ eval
local t = {[1]='a','b'} return t
--@ eval
local t = {n=1,['k k']=2} return t['k k']
--@ eval
return #{1,2,nil}
--@ eval
return #{nil,nil,3}
--@ eval
return #{1,nil,3}
--@ eval
local t = {} t[1]=1 t[2]=2 t[4]=4 return #t
--@ eval
local t = {} for i=1,10 do t[i]=i end for i=1,5 do t[i]=nil end return #t
--@ eval
local t = {10,20,30,nil} return #t
--@ eval
local t = {1,2,3} t[#t+1]=4 return t
--@ eval
local t = {} for i = 1, 8 do t[i] = i end t[8] = nil t[7] = nil return {#t, t}
--@ eval
local a = {} for i=1,1000 do a['k'..i] = i end local n = 0 for _ in pairs(a) do n = n + 1 end return n
--@ eval
local t={} for i=1,20 do t['key'..i]=i end local o={} for k in pairs(t) do o[#o+1]=k end return o
--@ eval
local t={} for i=1,20 do t[i*3]=i end local o={} for k in pairs(t) do o[#o+1]=k end return o
--@ eval
local t={} for i=1,20 do t[i+0.5]=i end local o={} for k in pairs(t) do o[#o+1]=tostring(k) end return o
--@ eval
local t={[true]=1,[false]=2,x=3} local o={} for k in pairs(t) do o[#o+1]=tostring(k) end return o
--@ eval
do local x = 5 end return tostring(rawget(_G,'x'))
--@ eval
local x = 1 do local x = 2 end return x
--@ eval
local f do local n = 0 f = function() n = n + 1 return n end end f() f() return f()
--@ eval
local fs = {} for i=1,3 do fs[i] = function() return i end end return {fs[1](),fs[2](),fs[3]()}
--@ eval
return (function() return 1,2 end)()
--@ eval
return ((function() return 1,2 end)())
--@ eval
return {(function() return 1,2 end)(), 10}
--@ eval
return {10, (function() return 1,2 end)()}
--@ eval
return string.format('%.14g', 0.1)
--@ eval
return string.format('%.17g', 0.1)
--@ eval
return string.format('%5s', 'abcdefgh')
--@ eval
return string.format('%.3s', 'abcdefgh')
--@ eval
return string.format('%%')
--@ eval
return string.format('%q', 'a\0b\r\n')
--@ eval
return string.format()
--@ eval
return string.format('%d')
--@ eval
return string.format('%d', 3.7)
--@ eval
return string.format('%d', '10')
--@ eval
return string.format('%x', -1)
--@ eval
return string.format('%u', -1)
--@ eval
return string.format('%o', 8)
--@ eval
return string.format('%s', nil)
--@ eval
return string.format('%s', {}) ~= nil
--@ eval
return string.format('%c%c', 72, 105)
--@ eval
return string.format('%i', 1e10)
--@ eval
return tostring(12345678901234567890)
--@ eval
return 2^63 == 9223372036854775808
--@ eval
return 1e308 * 10
--@ eval
return -1e308 * 10
--@ eval
return tostring(0/0)
--@ eval
return tostring(-(0/0))
--@ eval
return tostring(1/0)
--@ eval
return {1e3, 1e10, 123456789012}
--@ eval
return string.len('a\0b')
--@ eval
return ('x'):rep(3, ',')
--@ eval
return ('a,b,c'):find(',', 1, true)
--@ eval
return ('a.b'):gsub('%.', '%%')
--@ eval
return coroutine.running()
--@ eval
return coroutine.yield(1)
--@ eval
return coroutine.status(1)
--@ eval
return coroutine.create(1)
--@ eval
return coroutine.wrap(1)
--@ eval
local co = coroutine.wrap(function() for i=1,3 do coroutine.yield(i) end end) return {co(),co(),co()}
--@ eval
local co = coroutine.wrap(function() return 1 end) co() co()
--@ eval
local co co = coroutine.create(function() return coroutine.resume(co) end) return {coroutine.resume(co)}
--@ eval
local co = coroutine.create(function() pcall(coroutine.yield, 1) end) return {coroutine.resume(co)}
--@ eval
local co = coroutine.create(function() table.sort({3,2,1}, function(a,b) coroutine.yield() return a<b end) end) return {coroutine.resume(co)}
