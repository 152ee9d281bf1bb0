/** Waits for something that happens any number of times. */
export class Alarm {
  #rung = false
  #wake: () => void = () => {}

  ring(): void {
    this.#rung = true
    this.#wake()
  }

  /** True when it rings, or has since it was waited for last; false after so many milliseconds (null: never). */
  async wait(milliseconds: number | null): Promise<boolean> {
    if (!this.#rung)
      await new Promise<void>(resolve => {
        const timer = milliseconds === null ? undefined : setTimeout(resolve, milliseconds)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    const rung = this.#rung
    this.#rung = false
    return rung
  }
}
