-- Throws away the copy of the rebuild that ARGV[1] names. That of another rebuild stays.

if redis.call('HGET', STATE, 'copy') == ARGV[1] then
  redis.call('UNLINK', unpack(KEYS))
end
return {'ok'}
