"""The contestant on confluent-kafka-python. It has no call for many messages and no columns."""

import struct
import sys
import time

import confluent_kafka as ck

SIZE, LOOK, BATCH = 100, 1000, 10000
FILLER = b"." * (SIZE - 8)
PACK = struct.Struct("<q")
VALUE = struct.Struct("<q92s")


def value(number):
    return VALUE.pack(number, FILLER)


class Reports:
    count = offsets = 0

    def __call__(self, err, msg):
        if err:
            raise ck.KafkaException(err)
        self.count += 1
        self.offsets += msg.offset()


def produce(settings, topic, n, on_delivery):
    producer = ck.Producer({**settings, **({"on_delivery": on_delivery} if on_delivery else {})})
    producer.produce(topic, value(0))
    producer.flush()
    wall, cpu = time.monotonic(), time.process_time()
    for i in range(1, n):
        while True:
            try:
                producer.produce(topic, value(i))
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(60)
    done = (on_delivery.count, on_delivery.offsets) if on_delivery else (n - left, 0)
    return done, time.monotonic() - wall, time.process_time() - cpu


def fetch(settings, topic, n):
    consumer = ck.Consumer({**settings, "group.id": "bench"})
    consumer.list_topics()
    wall, cpu = time.monotonic(), time.process_time()
    consumer.assign([ck.TopicPartition(topic, 0, 0)])
    count = total = 0
    while count < n:
        for m in consumer.consume(BATCH, 0) or consumer.consume(1, 0.1):
            if m.error():
                if m.error().code() == ck.KafkaError._PARTITION_EOF:
                    continue
                raise ck.KafkaException(m.error())
            v, offset = m.value(), m.offset()
            number = PACK.unpack_from(v)[0]
            if number != offset or len(v) != SIZE or (number % LOOK == 0 and v != value(number)):
                sys.exit("offset %d holds another message" % offset)
            total += number
            count += 1
    return (count, total), time.monotonic() - wall, time.process_time() - cpu


def main():
    row, brokers, topic, n = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    settings = dict(a.split("=", 1) for a in sys.argv[5:])
    settings["bootstrap.servers"] = brokers
    if row == "tables":
        done, wall, cpu = fetch(settings, topic, n)
    else:
        done, wall, cpu = produce(settings, topic, n, Reports() if row == "on_delivery" else None)
    print("%d %d %.6f %.6f" % (*done, wall, cpu))


main()
