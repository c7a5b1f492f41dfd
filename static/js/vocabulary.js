// Words that the lab sends as data and the page shows in its own language, with `_(word)`. Not a module of its own at run
// time: it only names them for `vmlab texts`.
import { toSay } from "./text.js";

export const WORDS = [
  // States of a VM and of a vCPU (emulator/hypervisor).
  toSay("shut off"),
  toSay("running"),
  toSay("idle"),
  toSay("blocked"),
  toSay("ready"),
  toSay("paused"),
  toSay("shutting down"),
  toSay("crashed"),
  toSay("off"),
  toSay("waiting"),
  // Who owns a frame, and what for (emulator/hypervisor/partition).
  toSay("free"),
  toSay("hypervisor"),
  toSay("shared"),
  toSay("guest RAM"),
  toSay("G-stage table"),
  toSay("shared page"),
  toSay("none"),
  // What an entry of a page table is, and an access.
  toSay("table"),
  toSay("leaf"),
  toSay("not valid"),
  toSay("Load"),
  toSay("Store"),
  toSay("Fetch"),
  // What became of an alarm.
  toSay("raised"),
  toSay("cleared"),
  // How far the engine is (engine/python.js).
  toSay("Fetching the engine"),
  toSay("Starting Python"),
  toSay("Unpacking the lab"),
  toSay("Loading the lab"),
  toSay("Ready"),
];
