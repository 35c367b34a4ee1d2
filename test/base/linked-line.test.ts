import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Linked, LinkedLine } from '../../src/base/linked-line.ts';

interface Member extends Linked<Member> {
  readonly name: number;
}

test('who came first is first, whoever leaves in between, and who left may come again', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 100 }), (names) => {
      const line = new LinkedLine<Member>();
      const members = Array.from(
        { length: 10 },
        (_, name): Member => ({ name, before: undefined, behind: undefined }),
      );
      const model: Member[] = [];
      for (const name of names) {
        const member = members[name]!;
        const at = model.indexOf(member);
        if (at === -1) {
          line.add(member);
          model.push(member);
        } else {
          line.remove(member);
          model.splice(at, 1);
        }
        const found: number[] = [];
        for (let one = line.first; one !== undefined; one = one.behind) found.push(one.name);
        assert.deepEqual(
          found,
          model.map((one) => one.name),
        );
      }
    }),
  );
});
