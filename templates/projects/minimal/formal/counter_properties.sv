// What must hold in every cycle, bound to the design.
module counter_properties (
    input logic       clk,
    input logic       rst_n,
    input logic [3:0] count,
    input logic       full
);
    always_comb begin
        if (rst_n) begin
            a_bounded: assert (count <= 4'd9);
            a_full: assert (full == (count == 4'd9));
        end
    end

    always_ff @(posedge clk) begin
        c_full: cover (rst_n && full);
    end
endmodule

bind counter counter_properties properties (.clk, .rst_n, .count, .full);
