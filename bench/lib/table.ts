/** Figures as people read them. */
import { run } from "../../test/kit/peers/run.ts";
import type { Cost } from "./measure.ts";

export function printTable(title: string, costs: Readonly<Record<string, Cost>>): void {
  const width = Math.max(...Object.keys(costs).map((name) => name.length));
  const number = (value: number, digits = 1): string => value.toFixed(digits).padStart(8);
  console.log(`\n${title}\n${"".padEnd(width)}   wall s   user s    sys s  RSS MiB`);
  for (const [name, { wall, user, system, rss }] of Object.entries(costs)) {
    console.log(`${name.padEnd(width)} ${number(wall)} ${number(user)} ${number(system)} ${number(rss, 0)}`);
  }
}

export async function hasProgram(name: string): Promise<boolean> {
  return (await run("sh", ["-c", `command -v ${name}`])).code === 0;
}
