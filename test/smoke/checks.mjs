/** Named checks, told one by one and counted. */
export class Checks {
  passed = 0;
  failed = 0;

  /** Whether `test` came to its end without throwing. */
  async check(name, test) {
    try {
      await test();
      this.passed++;
      console.log(`ok - ${name}`);
      return true;
    } catch (error) {
      this.failed++;
      console.log(`not ok - ${name}\n${error.message}`);
      return false;
    }
  }

  /** Prints the last line, and hands the exit code back. No check at all is a failure. */
  summarise() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}
