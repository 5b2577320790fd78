-- Removes the copy of the rebuild ARGV[1]. The copy of another rebuild stays.

if redis.call('HGET', STATE, 'copy') == ARGV[1] then
  redis.call('UNLINK', unpack(KEYS))
end
return {'ok'}
