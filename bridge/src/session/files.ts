/**
 * The files of one connection: `<id>.sqlite` in use, `<id>.next.sqlite` while another takes its
 * place, `<id>.<ms>.archived.sqlite` put aside. The runtime deletes them (credential_files.py).
 */

import { closeSync, copyFileSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

export class ConnectionFiles {
  readonly current: string;
  readonly next: string;
  readonly #prefix: string;

  constructor(directory: string, id: string) {
    this.#prefix = join(directory, id);
    this.current = `${this.#prefix}.sqlite`;
    this.next = `${this.#prefix}.next.sqlite`;
  }

  /** The path of an archive, by the milliseconds of its name. */
  archive(time: string | number): string {
    return `${this.#prefix}.${time}.archived.sqlite`;
  }

  /** Finish what a crash left half done: the successor is whole once its predecessor has gone. */
  recover(): void {
    if (!existsSync(this.current) && existsSync(this.next)) renameSync(this.next, this.current);
    else this.discardNext();
  }

  discardNext(): void {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(`${this.next}${suffix}`, { force: true });
  }

  /** Begin a successor as a copy of an archive, on the disk. */
  copyToNext(archive: string): void {
    this.discardNext();
    copyFileSync(archive, this.next);
    sync(this.next);
  }

  /** The successor takes the place of the file in use, which is archived if it is worth it. Both are sealed. */
  swap(keep: boolean): void {
    if (keep) renameSync(this.current, this.#freeArchive());
    renameSync(this.next, this.current);
    sync(dirname(this.current));
  }

  #freeArchive(): string {
    for (let time = Date.now(); ; time += 1) {
      const path = this.archive(time);
      if (!existsSync(path)) return path;
    }
  }
}

function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
