/**
 * What the queue in Redis does as one act, in Redis' own Lua. Each says its KEYS and ARGV. Knows BullMQ's layout in HOLD alone: a job's
 * lock, its hash with the number of its claims (`ats`), the list of active jobs and the set of those to be looked at.
 */

/** KEYS: the job's marks, the sequence, two lists. ARGV: id, queue. Gives the queue of the job that has this id, now or since before. */
export const INDEX = `
local known = redis.call('HGET', KEYS[1], 'queue')
if known then return known end
local number = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'queue', ARGV[2])
redis.call('ZADD', KEYS[3], number, ARGV[1])
redis.call('ZADD', KEYS[4], number, ARGV[1])
return ARGV[2]
`;

/** KEYS: the job's marks. ARGV: now. 0 where it was cancelled before anybody began it. */
export const BEGIN = `
if redis.call('HEXISTS', KEYS[1], 'begun') == 1 then return 1 end
if redis.call('HEXISTS', KEYS[1], 'cancelling') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'begun', ARGV[1])
return 1
`;

/** KEYS: the job's marks. ARGV: now. */
export const CANCEL = `return redis.call('HSETNX', KEYS[1], 'cancelling', ARGV[1])`;

/** KEYS: lock, job, active, stalled. ARGV: the lock's token, milliseconds, the number of the claim, id. 1 where the job is held. */
export const HOLD = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[2], 'ats') ~= ARGV[3] then return 0 end
if not redis.call('LPOS', KEYS[3], ARGV[4]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SREM', KEYS[4], ARGV[4])
return 1
`;
