/** HPACK decoding: the examples of RFC 7541 Appendix C, the tables, and everything that must end a connection. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HpackDecoder } from '../../../src/grpc/native/hpack-decoder.ts';
import { DynamicTable, headerField, STATIC_TABLE } from '../../../src/grpc/native/hpack-tables.ts';
import { ConnectionFault, ERROR_CODE } from '../../../src/grpc/native/protocol.ts';
import { ResponseHeaders } from '../../../src/grpc/native/response-headers.ts';

function decode(decoder: HpackDecoder, block: Buffer | string): string[] {
  const bytes = typeof block === 'string' ? Buffer.from(block.replaceAll(' ', ''), 'hex') : block;
  const fields: string[] = [];
  decoder.decode(bytes, 0, bytes.length, { onField: ({ name, value }) => fields.push(`${name}: ${value}`) });
  return fields;
}

function tableOf(decoder: HpackDecoder): string[] {
  return Array.from({ length: decoder.table.length }, (_, i) => {
    const { name, value } = decoder.table.at(i)!;
    return `${name}: ${value}`;
  });
}

describe('Appendix C', () => {
  const single: [string, string, string][] = [
    [
      'C.2.1',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      'custom-key: custom-header',
    ],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path'],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret'],
    ['C.2.4', '82', ':method: GET'],
  ];
  for (const [name, block, field] of single) {
    test(name, () => {
      const decoder = new HpackDecoder(4096);
      assert.deepEqual(decode(decoder, block), [field]);
      assert.deepEqual(tableOf(decoder), name === 'C.2.1' ? [field] : []);
    });
  }

  const REQUESTS = [
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
    [
      ':method: GET',
      ':scheme: https',
      ':path: /index.html',
      ':authority: www.example.com',
      'custom-key: custom-value',
    ],
  ];
  const REQUEST_TABLE = [
    'custom-key: custom-value',
    'cache-control: no-cache',
    ':authority: www.example.com',
  ];
  const dates = ['Mon, 21 Oct 2013 20:13:21 GMT', 'Mon, 21 Oct 2013 20:13:22 GMT'];
  const cookie = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
  const location = 'location: https://www.example.com';
  const RESPONSES = [
    [':status: 302', 'cache-control: private', `date: ${dates[0]}`, location],
    [':status: 307', 'cache-control: private', `date: ${dates[0]}`, location],
    [
      ':status: 200',
      'cache-control: private',
      `date: ${dates[1]}`,
      location,
      'content-encoding: gzip',
      cookie,
    ],
  ];
  const RESPONSE_TABLE = [cookie, 'content-encoding: gzip', `date: ${dates[1]}`];

  const sequences: [string, number, string[], string[][], string[], number][] = [
    [
      'C.3 requests',
      4096,
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      REQUESTS,
      REQUEST_TABLE,
      164,
    ],
    [
      'C.4 requests, Huffman coded',
      4096,
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      REQUESTS,
      REQUEST_TABLE,
      164,
    ],
    [
      'C.5 responses, with eviction',
      256,
      [
        '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
      RESPONSES,
      RESPONSE_TABLE,
      215,
    ],
    [
      'C.6 responses, Huffman coded, with eviction',
      256,
      [
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ],
      RESPONSES,
      RESPONSE_TABLE,
      215,
    ],
  ];
  for (const [name, tableBytes, blocks, expected, table, sizeBytes] of sequences) {
    test(name, () => {
      const decoder = new HpackDecoder(tableBytes);
      for (const [i, block] of blocks.entries()) assert.deepEqual(decode(decoder, block), expected[i]);
      assert.deepEqual(tableOf(decoder), table);
      assert.equal(decoder.table.sizeBytes, sizeBytes);
    });
  }
});

test('the static table is that of Appendix A', () => {
  const names: [number, string, string][] = [
    [1, ':authority', ''],
    [2, ':method', 'GET'],
    [5, ':path', '/index.html'],
    [7, ':scheme', 'https'],
    [14, ':status', '500'],
    [16, 'accept-encoding', 'gzip, deflate'],
    [28, 'content-length', ''],
    [31, 'content-type', ''],
    [38, 'host', ''],
    [55, 'set-cookie', ''],
    [58, 'user-agent', ''],
    [61, 'www-authenticate', ''],
  ];
  assert.equal(STATIC_TABLE.length, 62);
  for (const [index, name, value] of names) {
    assert.deepEqual([STATIC_TABLE[index]!.name, STATIC_TABLE[index]!.value], [name, value]);
  }
});

describe('what ends the connection', () => {
  const faults: [string, string][] = [
    ['index 0', '80'],
    ['an index beyond the tables', 'be'],
    ['an index far beyond the tables', 'ff ff ff 03'],
    ['an integer without end', 'ff 80 80 80 80 80 80 80 01'],
    ['an integer of 32 bits', 'ff ff ff ff ff 0f'],
    ['an integer cut off', 'ff'],
    ['a name index beyond the tables', '7f 20 01 61'],
    ['a literal cut off after its name', '40 01 61'],
    ['a literal cut off in its name', '40 05 61'],
    ['a literal cut off before its name', '40'],
    ['a value longer than the block', '40 01 61 7f 80 01'],
    ['a Huffman string with EOS', '40 84 ff ff ff ff 01 61'],
    ['a Huffman string with zeroes as padding', '40 81 00 01 61'],
    ['a table larger than allowed', '3f e2 1f'],
    ['a size update behind a field', '82 20'],
  ];
  for (const [name, block] of faults) {
    test(name, () => {
      assert.throws(
        () => decode(new HpackDecoder(4096), block),
        (error) => error instanceof ConnectionFault && error.code === ERROR_CODE.COMPRESSION_ERROR,
      );
    });
  }
});

test('size updates: to nothing, and up again, several at the start', () => {
  const decoder = new HpackDecoder(4096);
  decode(decoder, '4001 6101 62');
  assert.deepEqual(tableOf(decoder), ['a: b']);
  // 0, then 4096 (31 + 4065).
  assert.deepEqual(decode(decoder, '20 3fe1 1f 82'), [':method: GET']);
  assert.deepEqual(tableOf(decoder), []);
  decode(decoder, '4001 6101 62');
  assert.deepEqual(tableOf(decoder), ['a: b']);
});

test('fields that HTTP/2 does not allow are marked, and stay so in the table', () => {
  const validity = (decoder: HpackDecoder, bytes: Buffer): boolean[] => {
    const marks: boolean[] = [];
    decoder.decode(bytes, 0, bytes.length, { onField: ({ isValid }) => marks.push(isValid) });
    return marks;
  };
  const literal = (name: string, value: string) =>
    Buffer.concat([
      Buffer.from([0x40, name.length]),
      Buffer.from(name, 'latin1'),
      Buffer.from([value.length]),
      Buffer.from(value, 'latin1'),
    ]);
  const wrong: [string, string][] = [
    ['Upper', 'x'],
    ['', 'x'],
    ['a b', 'x'],
    ['a:b', 'x'],
    ['a\x7f', 'x'],
    ['\xe4', 'x'],
    ['a', ' x'],
    ['a', 'x '],
    ['a', '\tx'],
    ['a', 'x\0y'],
    ['a', 'x\ny'],
    ['a', 'x\ry'],
  ];
  for (const [name, value] of wrong) {
    const decoder = new HpackDecoder(4096);
    assert.deepEqual(validity(decoder, literal(name, value)), [false], JSON.stringify([name, value]));
    assert.deepEqual(validity(decoder, Buffer.from([0xbe])), [false]);
  }
  for (const [name, value] of [
    ['a', ''],
    ['a-b_c.d', 'x y\tz'],
    [':path', '/'],
    ['a', '\xe4'],
  ] as const) {
    assert.deepEqual(validity(new HpackDecoder(4096), literal(name, value)), [true]);
  }
});

test('the dynamic table behaves like a plain list', () => {
  const step = fc.oneof(
    fc.record({ name: fc.string({ maxLength: 20 }), value: fc.string({ maxLength: 60 }) }),
    fc.record({ resize: fc.nat(200) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      let maxBytes = 200;
      let list: { name: string; value: string }[] = [];
      const table = new DynamicTable(maxBytes);
      const size = () => list.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
      for (const step of steps) {
        if ('resize' in step) {
          maxBytes = step.resize;
          table.resize(maxBytes);
        } else {
          table.insert(headerField(step.name, step.value, true));
          list.unshift(step);
        }
        while (size() > maxBytes) list = list.slice(0, -1);
        assert.equal(table.sizeBytes, size());
        assert.equal(table.length, list.length);
        list.forEach(({ name, value }, i) => {
          assert.deepEqual([table.at(i)!.name, table.at(i)!.value], [name, value]);
        });
        assert.equal(table.at(list.length), undefined);
      }
    }),
    { seed: 7 },
  );
});

test('any bytes: decoded or a COMPRESSION_ERROR, nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 6 }), (blocks) => {
      const decoder = new HpackDecoder(4096);
      for (const block of blocks) {
        try {
          decode(decoder, Buffer.from(block));
        } catch (error) {
          assert.ok(error instanceof ConnectionFault && error.code === ERROR_CODE.COMPRESSION_ERROR);
          return;
        }
        assert.ok(decoder.table.sizeBytes <= 4096);
      }
    }),
    { seed: 3, numRuns: 2000 },
  );
});

describe('our own blocks say what they should, to any decoder', () => {
  const HEADERS = [
    ':status: 200',
    'content-type: application/grpc+proto',
    'grpc-accept-encoding: identity,deflate,gzip',
  ];
  const STATUS = ['grpc-status: 0'];

  test('in every order of answers', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('headers', 'trailers', 'error', 'shrink', 'to nothing'), { maxLength: 30 }),
        (steps) => {
          const encoder = new ResponseHeaders();
          const decoder = new HpackDecoder(4096);
          let open = 0;
          for (const step of steps) {
            if (step === 'shrink') encoder.onTableLimit(1000);
            else if (step === 'to nothing') encoder.onTableLimit(0);
            else if (step === 'headers') {
              assert.deepEqual(decode(decoder, encoder.headers()), HEADERS);
              open++;
            } else if (step === 'trailers' && open-- > 0) {
              assert.deepEqual(decode(decoder, encoder.okTrailers()), STATUS);
            } else {
              assert.deepEqual(decode(decoder, encoder.fields([['x', 'y'.repeat(300)]])), [
                `x: ${'y'.repeat(300)}`,
              ]);
              open = Math.max(open, 0);
            }
          }
        },
      ),
      { seed: 5, numRuns: 500 },
    );
  });

  test('from the second answer on, three bytes and one', () => {
    const encoder = new ResponseHeaders();
    encoder.headers();
    encoder.okTrailers();
    assert.deepEqual([encoder.headers().length, encoder.okTrailers().length], [3, 1]);
  });
});
