-- Keys land in the partition where Kafka's own producer puts them: murmur2, written down here once more and held against the
-- values of Kafka's UtilsTest; then the producer against it, and against where Kafka's own producer has put binary keys.
-- spec/real/producing_spec.lua asks Kafka's producer itself, whose tool takes text only.

local kafka = require "kafka"
local murmur2 = require "spec.support.murmur2"

local known = { -- Kafka: UtilsTest.testMurmur2
  ["21"] = -973932308,
  ["foobar"] = -790332482,
  ["a-little-bit-long-string"] = -985981536,
  ["a-little-bit-longer-string"] = -1486304829,
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"] = -58897971,
  ["abc"] = 479470107,
}

describe("murmur2 in Lua", function()
  it("gives what Kafka's own tests name", function()
    for key, hash in pairs(known) do assert.equal(hash, murmur2.hash(key), key) end
  end)
end)

-- Where the KafkaProducer of 4.3.1 has put the keys of `binary()` by its ByteArraySerializer: a is partition 0 of 24.
local by_kafka = table.concat {
  "jqbabmmvlthlijcibtejdnpvddvddangxmpoqgnljdupjivmprwfmmdbodjjxnlntxodkspjebqsujxjjiquextkagifvbgkamvf",
  "rqsauoxwwxgwqwavpxfljtxliumirttfusmbmtthupjoawuwchewqtbhursojwhfujcokvtsphvhkdnusevvpernqvcoiexxufvk",
  "jikdnxqjwgmwoqihpqoophgnvochxwtqkbhnlpchjwedmvuofplfdashtqpcbhhtfafkibphfckvontwjeeswdhijhobdarrbads",
  "rnuitrptrjhjeveoxaifjufwkfxsmhgnwxbatleflpaddagtsdwldrjgnpmejalfxbxcwtbledckefcovofqdgkhfnvlxgbioxut",
  "jouesoleghfmgmbbewdahrjpfmeetviquvxieqdwjkcbfmrgjsouagxvfhadkfumevaixspmswsadnfdjtxbgxcahmlucsnbathp",
  "ioflxighifnocmmqdapcjfwaonmftgxwuqvmwxwufwktruxxtnjmklsbrwhvjawxqaffguuflfdqcurwfxiqxurahmvoluslsreg",
  "jphbnqhnqgglbrtcengqutdaalqlnaqnjbevpjcqjlpheludlmvgqjrgmcjgtrwbmbadueqplkjvcnmojcfgnquhsurfaqsrgbok",
  "gwvltlaphqnxmwjmjjxcjwfikvbcumrjslokjqttkhmibngubknfqmfxbfjejltoqwubiasgfkvxjwkddcgdqqoxcesvbrcmklik",
  "jxllsangfepcawnanleoqricradukegtgmktgixpjpwccdhlgxqpetgorvnekcucaoqmtqwonvdsrtbsjfuxqujfwtliafnapbok",
  "iarwxawbdhoajelparrtjqfdanlcdxpfqlgxniswawtmvmfwbwrihfmmpwbojnrttwnlmpvwrtkoctvinqetqfingqugwsrevmfp",
}

describe("the default partitioner", function()
  local PARTITIONS = 24
  local mock

  setup(function() mock = assert(kafka.mock { topics = { many = PARTITIONS } }) end)
  teardown(function() mock:close() end)

  -- Text, bytes of every length and kind, the keys above.
  local function thousand()
    local keys, seed = {}, 7
    for key in pairs(known) do keys[#keys + 1] = key end
    while #keys < 1000 do
      local bytes = {}
      for i = 1, #keys % 40 + 1 do
        seed = (seed * 1103515245 + 12345) & 0x7fffffff
        bytes[i] = string.char(seed >> 16 & 0xff)
      end
      keys[#keys + 1] = table.concat(bytes)
    end
    return keys
  end

  -- Bytes of every kind, 0 to 39 of them.
  local function binary()
    local keys, seed = {}, 7
    for i = 1, #by_kafka do
      local bytes = {}
      for j = 1, (i - 1) % 40 do
        seed = (seed * 1103515245 + 12345) & 0x7fffffff
        bytes[j] = string.char(seed >> 16 & 0xff)
      end
      keys[i] = table.concat(bytes)
    end
    return keys
  end

  local function partitions_of(keys)
    local outcome
    local p <close> = assert(kafka.producer { brokers = mock.brokers })
    assert(p:produce_many("many", keys, { keys = keys, collect = true, on_batch = function(o) outcome = o end }))
    assert(p:flush())
    local found = {}
    for i, report in ipairs(outcome.reports) do found[i] = report.partition end
    return found
  end

  it("puts 1,000 keys, binary ones too, where murmur2 says", function()
    local keys = thousand()
    local want = {}
    for i, key in ipairs(keys) do want[i] = murmur2.partition(key, PARTITIONS) end
    assert.same(want, partitions_of(keys))
  end)

  it("puts 1,000 binary keys, empty ones too, where Kafka's own producer has put them", function()
    local found = {}
    for i, partition in ipairs(partitions_of(binary())) do found[i] = string.char(("a"):byte() + partition) end
    assert.equal(by_kafka, table.concat(found))
  end)

  it("takes an empty key for a key, as Kafka's producer does", function()
    local keys = {}
    for i = 1, 100 do keys[i] = "" end
    for _, partition in ipairs(partitions_of(keys)) do assert.equal(murmur2.partition("", PARTITIONS), partition) end
  end)
end)
