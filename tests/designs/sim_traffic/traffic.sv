// A light that is requested, warns and goes back; `hold` keeps it where it is.
module traffic (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       request,
    input  logic       hold,
    output logic       go,
    output logic [3:0] count
);
    typedef enum logic [1:0] {RED = 2'd0, GREEN = 2'd1, YELLOW = 2'd2} light_t;
    light_t state_q, state_d;

    always_comb begin
        state_d = state_q;
        case (state_q)
            RED:     if (request) state_d = GREEN;
            GREEN:   if (!hold) state_d = YELLOW;
            YELLOW:  if (!request) state_d = RED;
                     else if (hold) state_d = GREEN;
            default: state_d = RED;
        endcase
    end

    always_ff @(posedge clk or negedge rst_n) begin
        if (!rst_n) begin
            state_q <= RED;
            count   <= 4'd0;
        end else begin
            state_q <= state_d;
            if (state_q == GREEN) count <= count + 4'd1;
        end
    end

    assign go = state_q == GREEN;

`ifndef __ICARUS__  // which knows no concurrent assertions
`ifdef LIMIT
    a_limit: assert property (@(posedge clk) disable iff (!rst_n) count < `LIMIT);
`endif
    c_green: cover property (@(posedge clk) disable iff (!rst_n) go && hold);
`endif
endmodule
