// The same wrong clock for Node: `--import` this.
import { readFileSync } from "node:fs";
import process from "node:process";

const RealDate = Date;

function offset() {
  try {
    return Number(readFileSync(process.env.CLOCK_OFFSET_FILE, "ascii")) * 1000;
  } catch {
    return 0;
  }
}

globalThis.Date = class Date extends RealDate {
  constructor(...values) {
    if (values.length === 0) super(RealDate.now() + offset());
    else super(...values);
  }

  static now() {
    return RealDate.now() + offset();
  }
};
