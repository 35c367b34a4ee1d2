/**
 * Seeds that found something once, each with what it was. They run with every test run. A seed is the same run only
 * until something draws more or less than it did then, in the daemon or here; a test where the fault was keeps it mended.
 */
export const REGRESSION_SEEDS: readonly (readonly [seed: number, found: string])[] = [
  [14, 'a sidecar that recovery found right in the page cache was never synced, and a power cut took it'],
  [22, 'the same'],
  [27, 'after a failed sync of the manifest and a restart, its lines were taken to be on the disk'],
  [34, 'a segment whose sync failed: suspect, and what verify says of it after a power cut is right'],
  [47, 'the same, and kill -9 before the manifest knew: nobody can know that its pages are not on the disk'],
  [142, 'a sidecar that could not be written'],
  [1631, 'a segment whose name could not be synced: suspect in the manifest, gone after a power cut'],
  [
    2159,
    'what a failed sync had cut off a segment came back with a power cut: not the file that was recorded',
  ],
  [5687, 'the same'],
  [7858, 'accepted, and the disk failed during the drain: lost, as the books say'],
  [976, 'pages that a power cut kept from the disk were left in the middle of a segment, torn lines and all'],
  [2113, 'a drain that began while an ingest thread was started again, and became ready just then'],
  [
    666,
    'a checkpoint of producers outlived the lines it spoke of: their repeat was acknowledged and written nowhere',
  ],
  [
    3021,
    'retention without any checkpoint took the first lines of a producer: what it had not sent yet counted as taken',
  ],
  [3912, 'a checkpoint spoke for an empty segment, and after a restart another one had its number'],
  [13885, 'the same, with a number below it'],
  [9706, 'what a failed sync had refused was there again after kill -9, and its repeat too'],
  [
    6666,
    'the same after a power cut: the disk never had the cut, and the archiver had not recorded where it was',
  ],
  [68135, 'a drain waited for the dead writer to say what an ingest thread that died behind it had sent'],
];
