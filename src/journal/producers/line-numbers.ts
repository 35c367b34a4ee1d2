/**
 * The numbers in lines of the journal. A numbered line ends with `,"producer_id":"<id>","sequence":<number>}`, the last
 * two keys of all; nothing else can end so: within a string a quote has a backslash before it, and a label's value is
 * quoted.
 */
const MARK = Buffer.from('"sequence":');
const NEWLINE = 0x0a;
const ENDING = /,"producer_id":("(?:[^"\\]|\\.)*"),"sequence":(\d{1,20})\}$/;
/** An id of 256 bytes, each at most six in JSON, the number, and the keys. */
const MAX_ENDING_BYTES = 256 * 6 + 20 + 40;

/** Calls `onRun` for each run of consecutive numbers of one producer, in the order of the lines. */
export function numbersIn(lines: Buffer, onRun: (id: string, first: bigint, last: bigint) => void): void {
  let run: { id: string; first: bigint; last: bigint } | undefined;
  // Most journals have none at all, and then one search per chunk says so.
  for (let mark = lines.indexOf(MARK); mark !== -1; ) {
    const end = lines.indexOf(NEWLINE, mark);
    if (end === -1) break;
    const start = Math.max(lines.lastIndexOf(NEWLINE, mark) + 1, end - MAX_ENDING_BYTES);
    const found = ENDING.exec(lines.toString('utf8', start, end));
    if (found !== null) {
      const id = JSON.parse(found[1]!) as string;
      const number = BigInt(found[2]!);
      if (run !== undefined && run.id === id && run.last + 1n === number) run.last = number;
      else {
        if (run !== undefined) onRun(run.id, run.first, run.last);
        run = { id, first: number, last: number };
      }
    }
    mark = lines.indexOf(MARK, end);
  }
  if (run !== undefined) onRun(run.id, run.first, run.last);
}
