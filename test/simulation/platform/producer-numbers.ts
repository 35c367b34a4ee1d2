/** In place of src/journal/producers/producer-numbers.ts for the gate: itself, but for a deliberate bug. */
import {
  type NumberRange,
  ProducerNumbers as RealNumbers,
} from '../../../src/journal/producers/producer-numbers.ts';
import { world } from '../world.ts';

export * from '../../../src/journal/producers/producer-numbers.ts';

export class ProducerNumbers extends RealNumbers {
  override giveBack(range: NumberRange, floor: bigint): void {
    if (world().bug?.keepsFailedNumbers !== true) super.giveBack(range, floor);
  }
}
