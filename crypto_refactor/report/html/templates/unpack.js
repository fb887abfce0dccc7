"use strict";
/* Reads what packing.py writes: gzip in Base85, with a comma in place of "<". */
const unpack = async (id) => {
  const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";
  const digits = new Uint8Array(128);
  for (let at = 0; at < 85; at += 1) digits[ALPHABET.charCodeAt(at)] = at;
  const text = document.getElementById(id).textContent.trim();
  const size = Math.floor(text.length * 4 / 5);
  const whole = text.padEnd(Math.ceil(text.length / 5) * 5, "~");
  const bytes = new DataView(new ArrayBuffer(whole.length / 5 * 4));
  for (let at = 0, to = 0; at < whole.length; at += 5, to += 4) {
    let word = 0;
    for (let digit = at; digit < at + 5; digit += 1) word = word * 85 + digits[whole.charCodeAt(digit)];
    bytes.setUint32(to, word);
  }
  const packed = new Blob([bytes.buffer.slice(0, size)]);
  return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).text();
};
