/** A way to launch. */
export interface Mode {
  readonly name: string
  /** What stands before the container's name or the program. */
  readonly options: readonly string[]
}

export const modes: readonly Mode[] = [{ name: 'plain', options: [] }]
