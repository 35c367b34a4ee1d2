/** autocannon ships no types; this is the part of it that the benchmark uses. */
declare module 'autocannon' {
  export interface Spread {
    readonly average: number;
    readonly p50: number;
    readonly p99: number;
    readonly p99_9: number;
    readonly max: number;
  }
  export interface Result {
    readonly requests: Spread;
    readonly latency: Spread;
    readonly errors: number;
    readonly timeouts: number;
    readonly non2xx: number;
    readonly '2xx': number;
  }
  export default function autocannon(options: {
    readonly url: string;
    readonly connections: number;
    readonly duration: number;
  }): Promise<Result>;
}
