// Types of the FIFO's status.
package fifo_pkg;

  typedef enum logic [1:0] {
    EMPTY,
    PARTIAL,
    FULL
  } level_t;

  typedef struct packed {
    level_t level;
    logic   almost_empty;  // at most one entry is left
    logic   almost_full;   // at most one place is left
  } status_t;

endpackage
