// Reads the fields of an admin request, naming the one that is wrong.
type Body = Readonly<Record<string, unknown>>;

function wrong(name: string, expected: string): RangeError {
  return new RangeError(`${name} has to be ${expected}`);
}

export function text(body: Body, name: string): string {
  const value = body[name];
  if (typeof value !== "string" || value === "") throw wrong(name, "a non-empty string");
  return value;
}

export function optionalText(body: Body, name: string): string | undefined {
  return body[name] === undefined ? undefined : text(body, name);
}

export function texts(body: Body, name: string): string[] | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.some((one) => typeof one !== "string" || one === "")) {
    throw wrong(name, "an array of non-empty strings");
  }
  return value as string[];
}

export function optionalInteger(body: Body, name: string, minimum = 0): number | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum) {
    throw wrong(name, `an integer of at least ${minimum}`);
  }
  return value;
}

export function optionalFlag(body: Body, name: string): boolean | undefined {
  const value = body[name];
  if (value === undefined || typeof value === "boolean") return value;
  throw wrong(name, "true or false");
}

export function oneOf<T extends string>(body: Body, name: string, allowed: readonly T[]): T | undefined {
  const value = body[name];
  if (value === undefined) return undefined;
  if (!allowed.includes(value as T)) throw wrong(name, `one of ${allowed.join(", ")}`);
  return value as T;
}
