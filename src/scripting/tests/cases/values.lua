--@ eval
return nil
--@ eval 3
return nil
--@ eval
return
--@ eval 3
return
--@ eval
return true
--@ eval 3
return true
--@ eval
return false
--@ eval 3
return false
--@ eval
return 1
--@ eval 3
return 1
--@ eval
return 3.99
--@ eval 3
return 3.99
--@ eval
return -3.99
--@ eval 3
return -3.99
--@ eval
return 0/0
--@ eval 3
return 0/0
--@ eval
return 1/0
--@ eval 3
return 1/0
--@ eval
return -1/0
--@ eval 3
return -1/0
--@ eval
return 1e15
--@ eval 3
return 1e15
--@ eval
return 1e18
--@ eval 3
return 1e18
--@ eval
return 9223372036854775807
--@ eval 3
return 9223372036854775807
--@ eval
return 9223372036854775808
--@ eval 3
return 9223372036854775808
--@ eval
return -9223372036854775808
--@ eval 3
return -9223372036854775808
--@ eval
return 1e300
--@ eval 3
return 1e300
--@ eval
return 'abc'
--@ eval 3
return 'abc'
--@ eval
return ''
--@ eval 3
return ''
--@ eval
return 'a\0b'
--@ eval 3
return 'a\0b'
--@ eval
return 'a\r\nb'
--@ eval 3
return 'a\r\nb'
--@ eval
return {}
--@ eval 3
return {}
--@ eval
return {1,2,3}
--@ eval 3
return {1,2,3}
--@ eval
return {1,'two',{3,{4}}}
--@ eval 3
return {1,'two',{3,{4}}}
--@ eval
return {1,2,nil,4}
--@ eval 3
return {1,2,nil,4}
--@ eval
return {nil}
--@ eval 3
return {nil}
--@ eval
return {[1]='a',[3]='c'}
--@ eval 3
return {[1]='a',[3]='c'}
--@ eval
return {a=1}
--@ eval 3
return {a=1}
--@ eval
return {1,a=2}
--@ eval 3
return {1,a=2}
--@ eval
return {1.5,2.7}
--@ eval 3
return {1.5,2.7}
--@ eval
return {true,false,true}
--@ eval 3
return {true,false,true}
--@ eval
return {ok='fine'}
--@ eval 3
return {ok='fine'}
--@ eval
return {ok='fi\r\nne'}
--@ eval 3
return {ok='fi\r\nne'}
--@ eval
return {ok=1}
--@ eval 3
return {ok=1}
--@ eval
return {err='ERR x'}
--@ eval 3
return {err='ERR x'}
--@ eval
return {err='x'}
--@ eval 3
return {err='x'}
--@ eval
return {err='MY x\r\ny\r\n'}
--@ eval 3
return {err='MY x\r\ny\r\n'}
--@ eval
return {err=1}
--@ eval 3
return {err=1}
--@ eval
return {err={}}
--@ eval 3
return {err={}}
--@ eval
return {ok='a',err='b'}
--@ eval 3
return {ok='a',err='b'}
--@ eval
return {double=3.5}
--@ eval 3
return {double=3.5}
--@ eval
return {double=1e100}
--@ eval 3
return {double=1e100}
--@ eval
return {double='3'}
--@ eval 3
return {double='3'}
--@ eval
return {double=1/0}
--@ eval 3
return {double=1/0}
--@ eval
return {double=-1/0}
--@ eval 3
return {double=-1/0}
--@ eval
return {double=0.1}
--@ eval 3
return {double=0.1}
--@ eval
return {double=100}
--@ eval 3
return {double=100}
--@ eval
return {double=-0}
--@ eval 3
return {double=-0}
--@ eval
return {big_number='123456789012345678901234567890'}
--@ eval 3
return {big_number='123456789012345678901234567890'}
--@ eval
return {big_number='12\r\n3'}
--@ eval 3
return {big_number='12\r\n3'}
--@ eval
return {big_number=12}
--@ eval 3
return {big_number=12}
--@ eval
return {map={}}
--@ eval 3
return {map={}}
--@ eval
return {map={a=1}}
--@ eval 3
return {map={a=1}}
--@ eval
return {map={[1]='x'}}
--@ eval 3
return {map={[1]='x'}}
--@ eval
return {map={a={1,2}}}
--@ eval 3
return {map={a={1,2}}}
--@ eval
return {map={a={map={b=1}}}}
--@ eval 3
return {map={a={map={b=1}}}}
--@ eval
return {map=1}
--@ eval 3
return {map=1}
--@ eval
return {set={}}
--@ eval 3
return {set={}}
--@ eval
return {set={a=true}}
--@ eval 3
return {set={a=true}}
--@ eval
return {set={[1]=true}}
--@ eval 3
return {set={[1]=true}}
--@ eval
return {set={x={1}}}
--@ eval 3
return {set={x={1}}}
--@ eval
return {set='a'}
--@ eval 3
return {set='a'}
--@ eval
return {verbatim_string={string='hello',format='txt'}}
--@ eval 3
return {verbatim_string={string='hello',format='txt'}}
--@ eval
return {verbatim_string={string='hello',format='markdown'}}
--@ eval 3
return {verbatim_string={string='hello',format='markdown'}}
--@ eval
return {verbatim_string={string='hello',format='m'}}
--@ eval 3
return {verbatim_string={string='hello',format='m'}}
--@ eval
return {verbatim_string={string='hello',format=''}}
--@ eval 3
return {verbatim_string={string='hello',format=''}}
--@ eval
return {verbatim_string={string='hello'}}
--@ eval 3
return {verbatim_string={string='hello'}}
--@ eval
return {verbatim_string={format='txt'}}
--@ eval 3
return {verbatim_string={format='txt'}}
--@ eval
return {verbatim_string='x'}
--@ eval 3
return {verbatim_string='x'}
--@ eval
return {verbatim_string={string='',format='txt'}}
--@ eval 3
return {verbatim_string={string='',format='txt'}}
--@ eval
return function() end
--@ eval 3
return function() end
--@ eval
return coroutine.create(function() end)
--@ eval 3
return coroutine.create(function() end)
--@ eval
return {function() end, 2}
--@ eval 3
return {function() end, 2}
--@ eval
return {1,{err='ERR inner'},3}
--@ eval 3
return {1,{err='ERR inner'},3}
--@ eval
return {1,{ok='inner'},3}
--@ eval 3
return {1,{ok='inner'},3}
--@ eval
return {{},{}}
--@ eval 3
return {{},{}}
--@ eval
return setmetatable({}, {__index=function() return 1 end})
--@ eval 3
return setmetatable({}, {__index=function() return 1 end})
--@ eval
return setmetatable({1,2}, {__index=function() return 'x' end})
--@ eval 3
return setmetatable({1,2}, {__index=function() return 'x' end})
--@ eval
return setmetatable({}, {__index={ok='no'}})
--@ eval 3
return setmetatable({}, {__index={ok='no'}})
--@ eval
return {map={a=1,b=2,c=3}}
--@ eval 3
return {map={a=1,b=2,c=3}}
--@ eval
return {map={a=true,b=false,c='x',d={1}}}
--@ eval 3
return {map={a=true,b=false,c='x',d={1}}}
--@ eval
return {set={a=1,b=2,c=3}}
--@ eval 3
return {set={a=1,b=2,c=3}}
--@ eval
return {set={10,20,30}}
--@ eval 3
return {set={10,20,30}}
--@ eval
local t={} for i=1,100 do t[i]=i end return t
--@ eval 3
local t={} for i=1,100 do t[i]=i end return t
--@ eval
local t={} for i=1,300 do t[i]='v'..i end return t
--@ eval 3
local t={} for i=1,300 do t[i]='v'..i end return t
--@ eval
local t={} for i=1,50 do t['k'..i]=i end return {map=t}
--@ eval 3
local t={} for i=1,50 do t['k'..i]=i end return {map=t}
--@ eval
local t={} for i=1,40 do t[i]={i,{i}} end return t
--@ eval 3
local t={} for i=1,40 do t[i]={i,{i}} end return t
--@ eval
local t={} for i=1,10000 do t[i]=i%7 end return t
--@ eval 3
local t={} for i=1,10000 do t[i]=i%7 end return t
--@ eval
local a={} a[1]={} a[1][1]={} return a
--@ eval 3
local a={} a[1]={} a[1][1]={} return a
--@ eval
return redis.status_reply('hi')
--@ eval 3
return redis.status_reply('hi')
--@ eval
return redis.error_reply('hi')
--@ eval 3
return redis.error_reply('hi')
--@ eval
return redis.error_reply('MY hi')
--@ eval 3
return redis.error_reply('MY hi')
--@ eval
return redis.error_reply('-MY hi')
--@ eval 3
return redis.error_reply('-MY hi')
--@ eval
return redis.error_reply('-hi')
--@ eval 3
return redis.error_reply('-hi')
--@ eval
return redis.error_reply('')
--@ eval 3
return redis.error_reply('')
--@ eval
return redis.error_reply('-')
--@ eval 3
return redis.error_reply('-')
--@ eval
return redis.error_reply('hi there\r\nyou\r\n')
--@ eval 3
return redis.error_reply('hi there\r\nyou\r\n')
--@ eval
return redis.error_reply(1)
--@ eval 3
return redis.error_reply(1)
--@ eval
return redis.error_reply()
--@ eval 3
return redis.error_reply()
--@ eval
return redis.error_reply('a','b')
--@ eval 3
return redis.error_reply('a','b')
--@ eval
return redis.status_reply(1)
--@ eval 3
return redis.status_reply(1)
--@ eval
return redis.status_reply()
--@ eval 3
return redis.status_reply()
--@ eval
return redis.status_reply('a','b')
--@ eval 3
return redis.status_reply('a','b')
--@ eval
return redis.status_reply('')
--@ eval 3
return redis.status_reply('')
--@ eval
return redis.error_reply('a\0b c')
--@ eval 3
return redis.error_reply('a\0b c')
--@ eval
return redis.status_reply('a\0b')
--@ eval 3
return redis.status_reply('a\0b')
--@ eval
redis.setresp(3) return nil
--@ eval 3
redis.setresp(3) return nil
--@ eval
redis.setresp(3) return
--@ eval 3
redis.setresp(3) return
--@ eval
redis.setresp(3) return true
--@ eval 3
redis.setresp(3) return true
--@ eval
redis.setresp(3) return false
--@ eval 3
redis.setresp(3) return false
--@ eval
redis.setresp(3) return 1
--@ eval 3
redis.setresp(3) return 1
--@ eval
redis.setresp(3) return 3.99
--@ eval 3
redis.setresp(3) return 3.99
--@ eval
redis.setresp(3) return -3.99
--@ eval 3
redis.setresp(3) return -3.99
--@ eval
redis.setresp(3) return 0/0
--@ eval 3
redis.setresp(3) return 0/0
--@ eval
redis.setresp(3) return nil
--@ eval 3
redis.setresp(3) return nil
--@ eval
redis.setresp(3) return true
--@ eval 3
redis.setresp(3) return true
--@ eval
redis.setresp(3) return false
--@ eval 3
redis.setresp(3) return false
--@ eval
redis.setresp(3) return {true,false,true}
--@ eval 3
redis.setresp(3) return {true,false,true}
--@ eval
redis.setresp(3) return {double=3.5}
--@ eval 3
redis.setresp(3) return {double=3.5}
--@ eval
redis.setresp(3) return {double=1e100}
--@ eval 3
redis.setresp(3) return {double=1e100}
--@ eval
redis.setresp(3) return {double='3'}
--@ eval 3
redis.setresp(3) return {double='3'}
--@ eval
redis.setresp(3) return {double=1/0}
--@ eval 3
redis.setresp(3) return {double=1/0}
--@ eval
redis.setresp(3) return {double=-1/0}
--@ eval 3
redis.setresp(3) return {double=-1/0}
--@ eval
redis.setresp(3) return {double=0.1}
--@ eval 3
redis.setresp(3) return {double=0.1}
--@ eval
redis.setresp(3) return {double=100}
--@ eval 3
redis.setresp(3) return {double=100}
--@ eval
redis.setresp(3) return {double=-0}
--@ eval 3
redis.setresp(3) return {double=-0}
--@ eval
redis.setresp(3) return {big_number='123456789012345678901234567890'}
--@ eval 3
redis.setresp(3) return {big_number='123456789012345678901234567890'}
--@ eval
redis.setresp(3) return {big_number='12\r\n3'}
--@ eval 3
redis.setresp(3) return {big_number='12\r\n3'}
--@ eval
redis.setresp(3) return {big_number=12}
--@ eval 3
redis.setresp(3) return {big_number=12}
--@ eval
redis.setresp(3) return {map={}}
--@ eval 3
redis.setresp(3) return {map={}}
--@ eval
redis.setresp(3) return {map={a=1}}
--@ eval 3
redis.setresp(3) return {map={a=1}}
--@ eval
redis.setresp(3) return {map={[1]='x'}}
--@ eval 3
redis.setresp(3) return {map={[1]='x'}}
--@ eval
redis.setresp(3) return {map={a={1,2}}}
--@ eval 3
redis.setresp(3) return {map={a={1,2}}}
--@ eval
redis.setresp(3) return {map={a={map={b=1}}}}
--@ eval 3
redis.setresp(3) return {map={a={map={b=1}}}}
--@ eval
redis.setresp(3) return {map=1}
--@ eval 3
redis.setresp(3) return {map=1}
--@ eval
redis.setresp(3) return {set={}}
--@ eval 3
redis.setresp(3) return {set={}}
--@ eval
redis.setresp(3) return {set={a=true}}
--@ eval 3
redis.setresp(3) return {set={a=true}}
--@ eval
redis.setresp(3) return {set={[1]=true}}
--@ eval 3
redis.setresp(3) return {set={[1]=true}}
--@ eval
redis.setresp(3) return {set={x={1}}}
--@ eval 3
redis.setresp(3) return {set={x={1}}}
--@ eval
redis.setresp(3) return {set='a'}
--@ eval 3
redis.setresp(3) return {set='a'}
--@ eval
redis.setresp(3) return {verbatim_string={string='hello',format='txt'}}
--@ eval 3
redis.setresp(3) return {verbatim_string={string='hello',format='txt'}}
--@ eval
redis.setresp(3) return {verbatim_string={string='hello',format='markdown'}}
--@ eval 3
redis.setresp(3) return {verbatim_string={string='hello',format='markdown'}}
--@ eval
redis.setresp(3) return {verbatim_string={string='hello',format='m'}}
--@ eval 3
redis.setresp(3) return {verbatim_string={string='hello',format='m'}}
--@ eval
redis.setresp(3) return {verbatim_string={string='hello',format=''}}
--@ eval 3
redis.setresp(3) return {verbatim_string={string='hello',format=''}}
--@ eval
redis.setresp(3) return {verbatim_string={string='hello'}}
--@ eval 3
redis.setresp(3) return {verbatim_string={string='hello'}}
--@ eval
redis.setresp(3) return {verbatim_string={format='txt'}}
--@ eval 3
redis.setresp(3) return {verbatim_string={format='txt'}}
--@ eval
redis.setresp(3) return {verbatim_string='x'}
--@ eval 3
redis.setresp(3) return {verbatim_string='x'}
--@ eval
redis.setresp(3) return {verbatim_string={string='',format='txt'}}
--@ eval 3
redis.setresp(3) return {verbatim_string={string='',format='txt'}}
--@ eval
redis.setresp(3) return setmetatable({}, {__index=function() return 1 end})
--@ eval 3
redis.setresp(3) return setmetatable({}, {__index=function() return 1 end})
--@ eval
redis.setresp(3) return setmetatable({1,2}, {__index=function() return 'x' end})
--@ eval 3
redis.setresp(3) return setmetatable({1,2}, {__index=function() return 'x' end})
--@ eval
redis.setresp(3) return setmetatable({}, {__index={ok='no'}})
--@ eval 3
redis.setresp(3) return setmetatable({}, {__index={ok='no'}})
--@ eval
redis.setresp(3) return {map={a=1,b=2,c=3}}
--@ eval 3
redis.setresp(3) return {map={a=1,b=2,c=3}}
--@ eval
redis.setresp(3) return {map={a=true,b=false,c='x',d={1}}}
--@ eval 3
redis.setresp(3) return {map={a=true,b=false,c='x',d={1}}}
--@ eval
redis.setresp(3) return {set={a=1,b=2,c=3}}
--@ eval 3
redis.setresp(3) return {set={a=1,b=2,c=3}}
--@ eval
redis.setresp(3) return {set={10,20,30}}
--@ eval 3
redis.setresp(3) return {set={10,20,30}}
--@ eval
redis.setresp(3) local t={} for i=1,50 do t['k'..i]=i end return {map=t}
--@ eval 3
redis.setresp(3) local t={} for i=1,50 do t['k'..i]=i end return {map=t}
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','string')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','string') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','string')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','string') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','string')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','string') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','string')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','string') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','integer')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','integer') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','integer')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','integer') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','integer')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','integer') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','integer')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','integer') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','double')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','double') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','double')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','double') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','double')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','double') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','double')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','double') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','null')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','null') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','null')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','null') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','null')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','null') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','null')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','null') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','array')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','array') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','array')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','array') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','array')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','array') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','array')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','array') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','set')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','set') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','set')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','set') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','set')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','set') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','set')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','set') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','map')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','map') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','map')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','map') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','map')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','map') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','map')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','map') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','attrib')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','attrib') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','attrib')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','attrib') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','attrib')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','attrib') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','attrib')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','attrib') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','verbatim')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','verbatim') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','verbatim')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','verbatim') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','verbatim')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','verbatim') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','verbatim')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','verbatim') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','true')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','true') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','true')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','true') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','true')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','true') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','true')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','true') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','false')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','false') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','false')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','false') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','false')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','false') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','false')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','false') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(2) return redis.call('debug','protocol','bignum')
--@ eval debug
redis.setresp(2) local v = redis.call('debug','protocol','bignum') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(2) return redis.call('debug','protocol','bignum')
--@ eval 3 debug
redis.setresp(2) local v = redis.call('debug','protocol','bignum') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval debug
redis.setresp(3) return redis.call('debug','protocol','bignum')
--@ eval debug
redis.setresp(3) local v = redis.call('debug','protocol','bignum') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval 3 debug
redis.setresp(3) return redis.call('debug','protocol','bignum')
--@ eval 3 debug
redis.setresp(3) local v = redis.call('debug','protocol','bignum') local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end local n = {} for k, x in pairs(v) do n[#n+1] = tostring(k)..'='..show(x) end table.sort(n) return '{'..table.concat(n, ',')..'}' end return show(v)
--@ eval
local t='x' for i=1,7994 do t={t} end return t
--@ eval
local t='x' for i=1,7995 do t={t} end return t
--@ eval
local t='x' for i=1,8100 do t={t} end return t
--@ eval
local t='x' for i=1,2664 do t={map={a=t}} end return t
--@ eval
local t='x' for i=1,2665 do t={map={a=t}} end return t
--@ eval
local t='x' for i=1,1998 do t={map={[t]=1}} end return t
--@ eval
local t='x' for i=1,1999 do t={map={[t]=1}} end return t
--@ eval
local t='x' for i=1,2664 do t={set={[t]=1}} end return t
--@ eval
local t='x' for i=1,2665 do t={set={[t]=1}} end return t
--@ eval
local t={} t[1]=t return t
--@ eval
local t={} t[1]=t return {1,t,2}
--@ eval
local t={} t[1]=t t[2]='tail' local u = {map={k=t}} return 1
--@ eval
local a={} setmetatable(a,{__index=function() return a end}) return a
--@ eval
local t='x' for i=1,500 do t={1,{map={k=t}},{set={[t]=true}}} if i>3 then t={t[2]} end end return t
