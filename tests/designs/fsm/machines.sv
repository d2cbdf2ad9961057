// One state machine a module, each in another style; where they do the same it is a ring A B C.
module with_struct (input logic clk, rst_n, go, output logic busy);
  typedef enum logic [1:0] {A, B, C} state_t;
  typedef struct packed {state_t state; logic [3:0] count;} data_t;
  data_t r, v;
  always_comb begin
    v = r;
    v.count = r.count + 1;
    case (r.state)
      A: if (go) v.state = B;
      B: v.state = C;
      default: v.state = A;
    endcase
  end
  wire reset = !rst_n;
  always_ff @(posedge clk or posedge reset)
    if (reset) begin r.state <= A; r.count <= 0; end
    else r <= v;
  assign busy = r.state != A;
endmodule

module with_ternary (input logic clk, rst_n, go, output logic busy);
  localparam A = 2'd0, B = 2'd1, C = 2'd2;
  reg [1:0] state;
  wire [1:0] following = state == A ? (go ? B : A) : state == B ? C : A;
  always @(posedge clk, negedge rst_n) if (~rst_n) state <= A; else state <= following;
  assign busy = state != A;
endmodule

module with_case_true (input logic clk, rst_n, go, output logic busy);
  typedef enum logic [2:0] {A = 3'b001, B = 3'b010, C = 3'b100} state_t;
  state_t state;
  always_ff @(posedge clk)
    if (rst_n == 1'b0) state <= A;
    else unique case (1'b1)
      state[0]: if (go) state <= B;
      state[1]: state <= C;
      state[2]: state <= A;
    endcase
  assign busy = !state[0];
endmodule

module with_default_first (input logic clk, rst_n, go, output logic busy);
  typedef enum logic [1:0] {A, B, C} state_t;
  state_t state, following;
  always_comb begin
    following = A;
    if (state == A) begin if (go) following = B; end
    else if (state inside {B}) following = state.next();
  end
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) state <= A;
    else if (busy || go) state <= following;
  assign busy = state != A;
endmodule

module with_extra_state (input logic clk, rst_n, go, output logic busy);
  typedef enum logic [1:0] {A, B, C, LOST} state_t;
  state_t state;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) state <= A;
    else case (state)
      A: if (go) state <= B;
      B: state <= C;
      C: state <= A;
      default: state <= A;
    endcase
  assign busy = state != A;
endmodule

module without_machine (input logic clk, rst_n, go, output logic busy);
  localparam logic [3:0] FIRST = 4'd2, LAST = 4'd9;
  typedef enum logic [1:0] {NOP, ADD, MUL} operation_t;
  logic [3:0] count;
  operation_t operation;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= FIRST; operation <= NOP; end
    else begin
      count <= count == LAST ? FIRST : count + 4'd1;
      operation <= operation_t'({go, count[0]});
    end
  assign busy = count == LAST && operation == ADD;
endmodule

module machines (input logic clk, rst_n, go, output logic [5:0] busy);
  with_struct u_struct (.busy(busy[0]), .*);
  with_ternary u_ternary (.busy(busy[1]), .*);
  with_case_true u_case (.busy(busy[2]), .*);
  with_default_first u_default (.busy(busy[3]), .*);
  with_extra_state u_extra (.busy(busy[4]), .*);
  without_machine u_none (.busy(busy[5]), .*);
endmodule
