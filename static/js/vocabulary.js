// Words that the lab sends as data and the page shows in its own language, with `_(word)`. Not a module of its own at run
// time: it only names them for `vmlab texts`.
import { mark } from "./text.js";

export const WORDS = [
  // States of a VM and of a vCPU (emulator/hypervisor).
  mark("shut off"),
  mark("running"),
  mark("idle"),
  mark("blocked"),
  mark("ready"),
  mark("paused"),
  mark("shutting down"),
  mark("crashed"),
  mark("off"),
  mark("waiting"),
  // Who owns a frame, and what for (emulator/hypervisor/partition).
  mark("free"),
  mark("hypervisor"),
  mark("shared"),
  mark("guest RAM"),
  mark("G-stage table"),
  // What became of an alarm.
  mark("raised"),
  mark("cleared"),
  // How far the engine is (engine/python.js).
  mark("Fetching the engine"),
  mark("Starting Python"),
  mark("Unpacking the lab"),
  mark("Loading the lab"),
  mark("Ready"),
];
