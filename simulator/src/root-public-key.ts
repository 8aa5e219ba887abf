/** Public half of the simulator's test root key (32 bytes): what clients have to trust. */
export const ROOT_PUBLIC_KEY = Buffer.from(
  "75842be94fc450fb2c09701032f96e3ee0792f2c617e892f06dc53605d36a500",
  "hex",
);
