// Loaded before mcproxy: moves its wall clock by the number of milliseconds in the file CLOCK_STEP_FILE.
import { readFileSync } from 'node:fs';

const now = Date.now;
Date.now = () => {
  try {
    return now() + Number(readFileSync(process.env['CLOCK_STEP_FILE'], 'utf8'));
  } catch {
    return now();
  }
};
