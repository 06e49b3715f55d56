--@ eval
#!lua
return 1
--@ eval
#!lua flags=no-writes
return 1
--@ eval
#!lua flags=no-writes,allow-oom
return 1
--@ eval
#!lua flags=no-writes,allow-stale,allow-oom,no-cluster,allow-cross-slot-keys
return 1
--@ eval
#!lua flags=
return 1
--@ eval
#!lua flags=,
return 1
--@ eval
#!lua flags=nosuch
return 1
--@ eval
#!lua flags=no-writes,nosuch
return 1
--@ eval
#!lua flags=NO-WRITES
return 1
--@ eval
#!lua name=x
return 1
--@ eval
#!lua foo
return 1
--@ eval
#!lua flags=no-writes flags=allow-oom
return 1
--@ eval
#!LUA
return 1
--@ eval
#!python
return 1
--@ eval
#! lua
return 1
--@ eval
#!
return 1
--@ eval
#!lua
--@ eval
#!lua return 1
--@ eval
#!"lua"
return 1
--@ eval
#!lua "flags=no-writes"
return 1
--@ eval
#!lua 'flags=no-writes'
return 1
--@ eval
#!lua "flags=no-writes
return 1
--@ eval
#!lua "flags=no-writes"x
return 1
--@ eval
#!lua flags="no-writes"
return 1
--@ eval
#!lua "flags=no\x2dwrites"
return 1
--@ eval
#!lua

error('line3')
--@ eval
#!lua flags=no-writes
error('line2')
--@ eval
#!lua


return nosuch
--@ eval
#!lua
x x
--@ eval
#!lua
return 1
--@ eval
#!lua  flags=no-writes  
return 1
--@ eval
#!lua	flags=no-writes
return 1
--@ eval
#!lua
return 1
--@ eval
 #!lua
return 1
--@ eval
#!lua flags=no-writes
return redis.call('get','a')
--@ eval
#!lua flags=no-writes, allow-oom
return 1
--@ eval
#!luax
return 1
--@ eval
#!lua5
return 1
