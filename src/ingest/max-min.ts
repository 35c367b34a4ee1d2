/**
 * Max-min fairness: how much each may have of what is not enough for all, so that nobody gets less than he asks
 * for while somebody gets more than he does.
 */

/**
 * The most that one may take so that all together take `capacity`: whoever asks for less gets what he asks, and
 * what he leaves is divided among the others. `capacity` itself where it is enough for all. Sorts `asked`.
 */
export function maxMinShare(asked: Float64Array, capacity: number): number {
  let sum = 0;
  for (const amount of asked) sum += amount;
  if (sum <= capacity) return capacity;
  asked.sort();
  let left = capacity;
  for (let i = 0; i < asked.length; i++) {
    const share = left / (asked.length - i);
    if (asked[i]! >= share) return share;
    left -= asked[i]!;
  }
  return capacity;
}
