module traffic_stuck_tb;
    logic clk = 0, rst_n = 0, request = 0, hold = 0, go;
    logic [3:0] count;
    traffic dut (.*);
    initial begin
        @(posedge go);  // no clock, so this never comes
        $finish;
    end
endmodule
